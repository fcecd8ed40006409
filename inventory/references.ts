import { ipv4, ipv4Network } from '../values/names';
import { LLM_CHECKS } from '../values/llm-keys';
import { missing, sentence } from '../values/problem';
import { databaseProblems } from './database-references';
import { hostOf, SYSTEM_PLACES, workers } from './derived';
import { FIXED_NAMESPACES, FOLDERS } from './names';
import type { Homelab } from './homelab';
import { backupProblems } from './backup-places';
import { capacityProblems } from './capacity';
import { modelFitProblems } from './model-fit';
import { modelProblems } from './model-references';
import { networkProblems } from './networks';
import { oneOf, twice } from './reference';
import { needsIngress, routeProblems } from './routes';
import { secretProblems } from './secret-references';
import { diskProblems } from './disks';
import { serviceProblems } from './service-references';
import { at } from './shape';
import { sharedVolumeProblems } from './shared-volumes';
import { volumeProblems } from './volumes';

/** Validates values against each other: addresses within the network, names that exist, values that must be unique. */
export function referenceProblems(homelab: Homelab): string[] {
  return [
    addresses,
    networkProblems,
    numbers,
    names,
    machineReferences,
    hosts,
    gpuRoms,
    backupProblems,
    diskProblems,
    databaseProblems,
    volumeProblems,
    sharedVolumeProblems,
    serviceProblems,
    routeProblems,
    secretProblems,
    modelProblems,
    graces,
    capacityProblems,
    modelFitProblems,
    acceptedChanges,
  ].flatMap((validate) => validate(homelab));
}

/** An entry for one change needs `from` and `to`; an entry for everything names the dist/ that it is valid for. */
function acceptedChanges({ accept = [] }: Homelab): string[] {
  return accept.flatMap(({ what, from, to }, index) => {
    const place = `accept[${index}]`;
    if (what === 'everything')
      return [
        ...(/^[0-9a-f]{7,64}$/.test(from)
          ? []
          : [
              sentence({
                what: `${place}.from must be the first 7 or more digits of the tree of dist/ for what: 'everything'`,
                got: from,
                fix: 'write the output of git rev-parse HEAD:dist; the entry then accepts no later change',
              }),
            ]),
        ...(to === undefined
          ? []
          : [sentence({ what: `${place}.to must be left out for what: 'everything'`, got: to, fix: 'remove it' })]),
      ];
    return to === undefined
      ? [
          missing(
            sentence({
              what: `${place}.to must be the new value of ${what}`,
              got: to,
              fix: 'copy the entry that synth prints with the error',
            }),
          ),
        ]
      : [];
  });
}

function addresses({ hosts, network, machines }: Homelab): string[] {
  const problems: string[] = [];
  const range = ipv4Network(network.cidr)!;
  const owners = new Map<string, string>();
  const places: [string, string][] = [
    ['network.gateway', network.gateway],
    ...Object.entries(hosts).map(([name, { address }]): [string, string] => [
      at(at('hosts', name), 'address'),
      address,
    ]),
    ...Object.entries(machines).map(([name, { address }]): [string, string] => [
      at(at('machines', name), 'address'),
      address,
    ]),
  ];
  for (const [place, address] of places) {
    const number = ipv4(address)!;
    if (number <= range.first || number >= range.last) {
      problems.push(
        sentence({
          what: `${place} must lie within network.cidr ${network.cidr}`,
          got: address,
          fix: 'give it an unused address of the home network',
        }),
      );
    }
    const other = owners.get(address);
    if (other)
      problems.push(
        sentence({
          what: `${place} must be unique`,
          got: `${address}, which ${other} has`,
          fix: 'give one of the two another address',
        }),
      );
    owners.set(address, place);
  }
  return problems;
}

/** Validates that VM IDs and MAC addresses of machines are unique. */
function numbers({ machines }: Homelab): string[] {
  return (['vmid', 'mac'] as const).flatMap((field) =>
    twice(Object.entries(machines).map(([name, machine]) => [at(at('machines', name), field), machine[field]])),
  );
}

/** Services, web apps and databases share one name space: each becomes a namespace, a Service or a user. */
function names({ services, webApps, databases, llm }: Homelab): string[] {
  const taken: readonly string[] = [...FIXED_NAMESPACES, ...Object.values(FOLDERS)];
  const entries: [string, string][] = [
    ...Object.keys(services).map((name): [string, string] => [at('services', name), name]),
    ...Object.keys(webApps).map((name): [string, string] => [at('webApps', name), name]),
    ...Object.keys(databases).map((name): [string, string] => [at('databases', name), name]),
    ...(llm === undefined ? [] : [['llm.service', llm.service] as [string, string]]),
    ...(llm?.gateway === undefined
      ? []
      : Object.values(LLM_CHECKS).map((name): [string, string] => ['a check of llm.gateway', name])),
    ...(llm?.gateway?.outside ?? []).map((name): [string, string] => ['llm.gateway.outside', name]),
  ];
  return [
    ...twice(entries),
    ...Object.keys(databases)
      .filter((name) => taken.includes(name))
      .map((name) =>
        sentence({
          what: `${at('databases', name)} must not be named like a namespace or folder of the homelab`,
          got: name,
          fix: 'choose another name, like cassandra',
        }),
      ),
  ];
}

function machineReferences(homelab: Homelab): string[] {
  const { llm, ingress, system, machines } = homelab;
  const names = Object.keys(machines);
  const fix = 'correct the name, or add the machine';
  return [
    ...(llm ? oneOf('llm.machine must be a machine of this homelab', llm.machine, names, fix) : []),
    ...(llm ? besideTheCluster(llm.machine, machines) : []),
    ...(ingress
      ? oneOf(
          'ingress.statusMachine must be a worker of this homelab',
          ingress.statusMachine,
          workers(homelab).map(([name]) => name),
          fix,
        )
      : []),
    ...(ingress === undefined && needsIngress(homelab)
      ? [
          sentence({
            what: 'ingress must be set when there are web apps or published ports',
            got: undefined,
            fix: "add ingress: { statusMachine: 'talos-worker-01', memory: Size.mebibytes(307), cpu: Cpu.millis(100) }",
          }),
        ]
      : []),
    ...Object.entries(system).flatMap(([name, { on }]) =>
      SYSTEM_PLACES.includes(on)
        ? []
        : oneOf(
            `${at(at('system', name), 'on')} (one of ${SYSTEM_PLACES.join(', ')}, or a machine) must be a machine of this homelab`,
            on,
            names,
            fix,
          ),
    ),
  ];
}

/** Models must run beside the cluster, because a Talos node cannot run Ollama. */
function besideTheCluster(name: string, machines: Homelab['machines']): string[] {
  if (!Object.hasOwn(machines, name) || machines[name]!.kind !== 'talos') return [];
  const beside = Object.keys(machines).filter((each) => machines[each]!.kind !== 'talos');
  return [
    sentence({
      what: 'llm.machine must be a machine beside the cluster',
      got: `${name}, a Talos node`,
      allowed: beside.join(', ') || 'none exists',
      fix: "name a machine with kind: 'ubuntu', or add one",
    }),
  ];
}

/** Validates which machine runs on which host, and that one machine at most has the GPU of a host. */
function hosts(homelab: Homelab): string[] {
  const proxmox = Object.keys(homelab.hosts).filter((name) => homelab.hosts[name]!.kind === 'proxmox');
  if (proxmox.length === 0)
    return [
      sentence({
        what: 'hosts must hold a Proxmox host',
        got: Object.keys(homelab.hosts),
        fix: "add one with kind: 'proxmox'",
      }),
    ];
  const gpus = new Map<string, string>();
  return Object.entries(homelab.machines).flatMap(([name, machine]) => {
    const place = at('machines', name);
    if (machine.host === undefined && proxmox.length > 1) {
      const what = `${place}.host must be set when there are several Proxmox hosts`;
      return [sentence({ what, got: undefined, allowed: proxmox.join(', '), fix: 'name the host that it runs on' })];
    }
    const problems = oneOf(`${place}.host must be a Proxmox host of this homelab`, hostOf(homelab, machine), proxmox);
    if (machine.kind !== 'ubuntu' || machine.gpu !== true) return problems;
    const other = gpus.get(hostOf(homelab, machine));
    gpus.set(hostOf(homelab, machine), name);
    if (other === undefined) return problems;
    const what = `${place}.gpu must be the only one on its host`;
    return [...problems, sentence({ what, got: `true, as on ${other}`, fix: 'pass the GPU to one machine only' })];
  });
}

function gpuRoms(homelab: Homelab): string[] {
  return Object.entries(homelab.hosts).flatMap(([name, host]) => {
    const { sound, audioRom } = (host.kind === 'proxmox' && host.gpuPassthrough) || {};
    if (sound !== false || audioRom === undefined) return [];
    const what = `${at('hosts', name)}.gpuPassthrough.audioRom must be used with sound`;
    return [sentence({ what, got: `${audioRom} and sound: false`, fix: 'leave one of the two out' })];
  });
}

/** Proxmox kills a machine after `down`: the kubelet must have stopped every pod before. */
function graces({ talos, machines }: Homelab): string[] {
  const grace = talos.shutdownGracePeriod.toSeconds();
  const critical = talos.shutdownGracePeriodCriticalPods.toSeconds();
  const problems =
    critical < grace
      ? []
      : [
          sentence({
            what: 'talos.shutdownGracePeriodCriticalPods must be shorter than shutdownGracePeriod',
            got: `${critical} s of ${grace} s`,
            fix: 'leave the larger part to ordinary pods',
          }),
        ];
  for (const [name, machine] of Object.entries(machines)) {
    const down = machine.down.toSeconds();
    if (machine.kind === 'talos' && down <= grace) {
      problems.push(
        sentence({
          what: `${at('machines', name)}.down must be longer than talos.shutdownGracePeriod`,
          got: `${down} s`,
          allowed: `more than ${grace} s`,
          fix: `${grace + 240} s leave room for the sandboxes of all pods as well`,
        }),
      );
    }
  }
  return problems;
}
