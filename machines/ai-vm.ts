import { createHash } from 'node:crypto';
import { stringify } from 'yaml';
import { gpuMemory, nodes, type Homelab, type UbuntuMachine } from '../inventory';
import { bytes } from '../values/quantity';
import type { MachineFiles } from './files';
import { METRICS_PORT, PROXY_FILES, proxyConfig } from './llm-proxy';
import { OLLAMA_FILES, loadModelsUnit, ollamaOverride, ollamaUnit, residentModels } from './ollama';

/** The cloud-init files of a machine outside the cluster. */
export interface CloudInit {
  readonly user: string;
  readonly network: string;
  readonly meta: string;
}

/** The user that cloud-init creates on a machine outside the cluster. */
export const ADMIN = 'homelab';

/** Files on such a machine. */
export const AI_VM_FILES = {
  firewall: '/etc/collab-homelab/firewall.nft',
  firewallUnit: '/etc/systemd/system/collab-homelab-firewall.service',
  ttm: '/etc/modprobe.d/collab-homelab-ttm.conf',
} as const;

/**
 * Used only at the first boot. The instance id never changes: with another one, cloud-init would run everything again and
 * create new host keys. Stage ai-vm applies later changes over SSH.
 */
export function cloudInit(homelab: Homelab, name: string): CloudInit {
  const { network } = homelab;
  const machine = homelab.machines[name]!;
  const [, prefix] = network.cidr.split('/');
  return {
    user: `#cloud-config\n${yaml({
      hostname: name,
      fqdn: `${name}.${network.domain}`,
      manage_etc_hosts: true,
      users: [
        {
          name: ADMIN,
          gecos: 'Bootstrap of the homelab',
          shell: '/bin/bash',
          lock_passwd: true,
          sudo: 'ALL=(ALL) NOPASSWD:ALL',
          ssh_authorized_keys: [...(homelab.access?.sshKeys ?? [])],
        },
      ],
      disable_root: true,
      ssh_pwauth: false,
      // Before sshd starts. The first setting that sshd reads counts: 10 comes before Ubuntu's 50-cloud-init.conf.
      write_files: [{ path: '/etc/ssh/sshd_config.d/10-collab-homelab.conf', content: SSHD, permissions: '0644' }],
      ...(network.timeServers && { ntp: { enabled: true, servers: [...network.timeServers] } }),
    })}`,
    network: yaml({
      version: 2,
      ethernets: {
        lan: {
          // Matches the MAC address: the name of the card changes when a GPU is added.
          match: { macaddress: machine.mac },
          dhcp4: false,
          dhcp6: false,
          addresses: [`${machine.address}/${prefix}`],
          routes: [{ to: 'default', via: network.gateway }],
          nameservers: { addresses: [...network.dns], search: [network.domain] },
        },
      },
    }),
    meta: yaml({ 'instance-id': `${name}-${machine.vmid}`, 'local-hostname': name }),
  };
}

const SSHD = `# Managed by the bootstrap of the homelab.
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin no
X11Forwarding no
`;

/** The content of authorized_keys of the user. */
export function authorizedKeys({ access }: Homelab): string {
  return `# Managed by the bootstrap of the homelab (access.sshKeys of homelab.ts).\n${(access?.sshKeys ?? []).map((key) => `${key}\n`).join('')}`;
}

/** Addresses from which the firewall allows a login. */
export function loginAddresses(homelab: Homelab): string[] {
  return [...(homelab.access?.from ?? macs(homelab))];
}

/** The comment of the table is a digest of the rules, so that the rules in the kernel can be compared. */
export function firewall(homelab: Homelab, name: string): { readonly rules: string; readonly digest: string } {
  const digest = createHash('sha256')
    .update(rules(homelab, name, ''))
    .digest('hex')
    .slice(0, 32);
  return { rules: rules(homelab, name, digest), digest };
}

/**
 * Allows the cluster's nodes, because packets of a pod have the address of its node, and the Macs, which upload models. IPv6 gets
 * what it needs to work in the home network, but no service.
 */
function rules(homelab: Homelab, name: string, digest: string): string {
  const { llm } = homelab;
  const clients = [...nodes(homelab).map(([, { address }]) => address), ...macs(homelab)];
  return [
    `# Managed by the bootstrap of the homelab: who may reach ${name}.`,
    'table inet collab_homelab',
    'delete table inet collab_homelab',
    'table inet collab_homelab {',
    `  comment "${digest}"`,
    '  chain input {',
    '    type filter hook input priority filter; policy drop;',
    '    ct state established,related accept',
    '    ct state invalid drop',
    '    iifname "lo" accept',
    '    meta l4proto { icmp, ipv6-icmp } accept',
    ...allow(22, loginAddresses(homelab)),
    ...(llm?.machine === name ? allow(llm.port, clients) : []),
    ...(llm?.machine === name ? allow(METRICS_PORT, llm.gateway?.scrapedBy ?? []) : []),
    '  }',
    '}',
    '',
  ].join('\n');
}

function allow(port: number, from: readonly string[]): string[] {
  const addresses = [...new Set(from)];
  return addresses.length === 0 ? [] : [`    ip saddr { ${addresses.join(', ')} } tcp dport ${port} accept`];
}

function macs({ hosts }: Homelab): string[] {
  return Object.values(hosts).flatMap((host) => (host.kind === 'mac' ? [host.address] : []));
}

/** Loads the rules before the network starts, like Debian's nftables.service. */
export const FIREWALL_UNIT = `# Managed by the bootstrap of the homelab.
[Unit]
Description=Firewall of the homelab
Wants=network-pre.target
Before=network-pre.target shutdown.target
Conflicts=shutdown.target
DefaultDependencies=no
ConditionPathExists=${AI_VM_FILES.firewall}

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/sbin/nft -f ${AI_VM_FILES.firewall}

[Install]
WantedBy=sysinit.target
`;

const PAGE = 4096;

/** Options of the module ttm: without them the GPU gets half of the machine's memory. Counted in pages of 4 KiB. */
export function ttmOptions({ memory }: UbuntuMachine): { readonly line: string; readonly pages: number } {
  const pages = Math.floor(gpuMemory(bytes(memory)) / PAGE);
  return { line: `options ttm pages_limit=${pages} page_pool_size=${pages}`, pages };
}

/** Packages of Ubuntu that a machine needs; those for a GPU only on the machine of the models. */
export function packages({ llm }: Homelab, name: string, { release }: UbuntuMachine): string[] {
  const always = ['ca-certificates', 'curl', 'nftables'];
  if (llm?.machine !== name) return always;
  return [
    ...always,
    // socat connects to the socket of haproxy.
    ...(llm.gateway === undefined ? [] : ['haproxy', 'socat']),
    `linux-generic-hwe-${release}`,
    'linux-firmware',
    'mesa-vulkan-drivers',
    'python3-venv',
    'zstd',
  ].sort();
}

/** Files of each machine outside the cluster by MACHINE/PATH; those for cloud-init are in cloud-init/. */
export function renderAiVms(homelab: Homelab): MachineFiles {
  const files = new Map<string, string>();
  for (const [name, machine] of Object.entries(homelab.machines)) {
    if (machine.kind !== 'ubuntu') continue;
    for (const [kind, text] of Object.entries(cloudInit(homelab, name)))
      files.set(`${name}/cloud-init/${kind}.yaml`, text);
    files.set(`${name}${AI_VM_FILES.firewall}`, firewall(homelab, name).rules);
    files.set(`${name}${AI_VM_FILES.firewallUnit}`, FIREWALL_UNIT);
    if (homelab.llm?.machine !== name) continue;
    files.set(`${name}${OLLAMA_FILES.unit}`, ollamaUnit());
    files.set(`${name}${OLLAMA_FILES.override}`, ollamaOverride(homelab).text);
    if (homelab.llm.gateway !== undefined) files.set(`${name}${PROXY_FILES.config}`, proxyConfig(homelab).text);
    if (residentModels(homelab).length > 0) files.set(`${name}${OLLAMA_FILES.modelsUnit}`, loadModelsUnit(homelab));
    if (machine.gpu === true) files.set(`${name}${AI_VM_FILES.ttm}`, `${ttmOptions(machine).line}\n`);
  }
  return files;
}

/** cloud-init reads YAML 1.1, in which 52:54:00:12:34:56 is a number unless it is quoted. */
function yaml(value: object): string {
  return stringify(value, { lineWidth: 0, version: '1.1' });
}
