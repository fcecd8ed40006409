import { spawn } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { parse as parseYaml, stringify } from 'yaml';
import { talosCommand, type CommandLine } from '../command-line';
import {
  addressUp,
  bootTalos,
  drivesOf,
  installedImage,
  macOf,
  readConfig,
  rebootVm,
  stopVm,
  talosNodes,
  volumePhase,
  type TalosNode,
} from '../life';
import { Failure, program, Unexpected, type Answer, type Call, type Context, type Exec } from './program';

/** What talos-machinery answers for real: commands that need no node. */
const OFFLINE: Readonly<Record<string, string>> = {
  'gen secrets': 'gen-secrets',
  'gen config': 'gen-config',
  'machineconfig patch': 'patch',
  validate: 'validate',
};
/** Sections of a machine configuration whose change needs a reboot. */
const NEEDS_REBOOT = ['type', 'token', 'systemDiskEncryption', 'files', 'udev', 'baseRuntimeSpecOverrides', 'disks'];

export const talosctl = [
  {
    ...program(['local'], ['talosctl'], (context): Promise<Answer | Exec | string> =>
      new Talosctl(context, talosCommand(context.call.argv)).run(),
    ),
    isReal: ({ argv }: Call) => ['gen', 'validate', 'machineconfig'].includes(argv[0]!),
  },
];

interface Resource {
  readonly namespace: string;
  readonly type: string;
  readonly id: string;
  readonly spec: unknown;
  /** Columns of the table, besides those that all have. */
  readonly columns: Readonly<Record<string, unknown>>;
}

class Talosctl {
  private readonly command: string;
  private readonly options: Readonly<Record<string, string>>;
  /** Text of the talosconfig. */
  private login = '';

  constructor(
    private readonly context: Context,
    private readonly line: CommandLine,
  ) {
    this.command = line.command;
    this.options = line.options;
  }

  async run(): Promise<Answer | Exec | string> {
    const offline = OFFLINE[this.command];
    if (offline) return this.machinery(offline);
    if (
      this.options.insecure === 'true' &&
      !['apply-config', 'get', 'version', 'reset', 'upgrade'].includes(this.command)
    )
      throw new Unexpected('--insecure');
    this.login = await this.context.read(this.talosconfigPath()).then(String, () => '');
    switch (this.command) {
      case 'version':
        return this.version();
      case 'get':
        return this.get();
      case 'apply-config':
        return this.apply();
      case 'bootstrap':
        return this.bootstrap();
      case 'kubeconfig':
        return this.kubeconfig();
      case 'health':
        return this.health();
      case 'service':
        return this.service();
      case 'reboot':
        return this.each((node) => rebootVm(this.context.simulation, Number(node.vmid)));
      case 'shutdown':
        return this.each((node) => stopVm(this.context.simulation, node.vmid));
      case 'reset':
        return this.each((node) => this.reset(node));
      case 'upgrade':
        return this.each((node) => this.upgrade(node));
      case 'upgrade-k8s':
        return this.upgradeKubernetes();
      case 'etcd snapshot':
        return this.snapshot();
      case 'etcd members':
        return this.lines('NODE ID HOSTNAME PEER_URLS CLIENT_URLS LEARNER', (node) => [
          [this.etcd(node), node.hostname, `https://${node.address}:2380`, `https://${node.address}:2379`, 'false'],
        ]);
      case 'etcd status':
        return this.lines(
          'NODE MEMBER DB_SIZE IN_USE LEADER RAFT_INDEX RAFT_TERM RAFT_APPLIED_INDEX LEARNER PROTOCOL STORAGE ERRORS',
          (node) => [
            [
              this.etcd(node),
              '4.2 MB',
              '2.1 MB (50.00%)',
              this.etcd(node),
              '1000',
              '2',
              '1000',
              'false',
              '3.6.5',
              '3.6.0',
              '',
            ],
          ],
        );
      case 'read':
        return this.read(this.line.positional[0]!);
      case 'dmesg':
        return this.nodes()
          .map((node) => `${node.address}: user: warning: [2026-01-01T00:00:00Z]: [talos] boot ${node.disk.boots}\n`)
          .join('');
      case 'containers':
        return this.lines('NODE NAMESPACE ID IMAGE PID STATUS', () => [
          ['system', 'apid', 'ghcr.io/siderolabs/apid', '1000', 'RUNNING'],
        ]);
    }
    throw new Unexpected(`talosctl ${this.command} is not simulated`);
  }

  /** The same arguments, without the words of the command. */
  private machinery(command: string): Exec {
    const argv = [...this.context.call.argv];
    for (const word of this.command.split(' ')) argv.splice(argv.indexOf(word), 1);
    return { exec: this.context.simulation.options.talosMachinery, argv: [command, ...argv] };
  }

  /** The nodes that are asked, or the end in the words of gRPC where one does not answer or does not trust. */
  private nodes(error = ''): TalosNode[] {
    const wanted = this.line.lists.nodes ?? [];
    if (this.options.insecure === 'true')
      return wanted.map((address) => {
        const node = this.reach(address, error);
        if (node.config)
          throw new Failure(
            `${error}${unavailable('error reading server preface: remote error: tls: certificate required')}`,
          );
        return node;
      });
    const { path, context } = this.talosconfig();
    const endpoints = this.line.lists.endpoints ?? context.endpoints ?? [];
    const nodes = wanted.length > 0 ? wanted : (context.nodes ?? []);
    if (nodes.length === 0)
      throw new Failure(
        'nodes are not set for the command: please use `--nodes` flag or configuration file to set the nodes to run the command against',
      );
    if (endpoints.length === 0) throw new Failure(`error constructing client: failed to determine endpoints`);
    if (!context.crt || !context.key)
      throw new Failure(`error constructing client: ${path} holds no client certificate`);
    // The first endpoint that is there passes the call on.
    const endpoint = endpoints.find((address: string) => addressUp(this.context.state, address)) ?? endpoints[0];
    const entry = this.reach(endpoint, error);
    if (entry.config?.authority.trim() !== String(context.ca).trim())
      throw new Failure(
        `${error}${unavailable('transport: authentication handshake failed: tls: failed to verify certificate: x509: certificate signed by unknown authority')}`,
      );
    // A node answers for itself. Only a control plane passes calls on, and then asks each node at its address.
    if (nodes.length === 1 && nodes[0] === endpoint) return [entry];
    if (!entry.config!.controlPlane)
      throw new Failure(`${error}rpc error: code = PermissionDenied desc = no request forwarding`);
    return nodes.map((address: string) => {
      const node = this.reach(address, error);
      if (node.config?.authority !== entry.config!.authority)
        throw new Failure(
          `${error}${unavailable('transport: authentication handshake failed: tls: failed to verify certificate: x509: certificate signed by unknown authority')}`,
        );
      return node;
    });
  }

  private reach(address: string, error: string): TalosNode {
    const node = talosNodes(this.context.state).find((each) => each.address === address);
    if (node && Date.now() >= node.disk.awayUntil) return node;
    const why = node ? 'connection refused' : 'no route to host';
    throw new Failure(
      `${error}${unavailable(`transport: Error while dialing: dial tcp ${address}:50000: connect: ${why}`)}`,
    );
  }

  private talosconfigPath(): string {
    const { TALOSCONFIG, HOME = '' } = this.context.call.env;
    return this.options.talosconfig ?? TALOSCONFIG ?? join(HOME, '.talos/config');
  }

  private talosconfig() {
    const path = this.talosconfigPath();
    const config = parseYaml(this.login) ?? {};
    const context = config.contexts?.[this.options.context ?? config.context];
    if (!context) throw new Failure('error constructing client: failed to determine endpoints');
    return { path, context };
  }

  private version(): string {
    const long = (tag: string) =>
      `\tTag:         ${tag}\n\tSHA:         2f1ba0b4\n\tBuilt:       \n\tGo version:  go1.26.0\n\tOS/Arch:     linux/amd64\n`;
    // Its owner may install another one.
    const own: string = this.context.state.extra.talosctl ?? 'v1.13.9';
    const client = `Client:\n${this.options.short === 'true' ? `Talos ${own}\n` : long(own)}`;
    if (this.options.client === 'true') return client;
    this.context.write({ stdout: `${client}Server:\n` });
    return this.nodes('error getting version: ')
      .map((node) => `\tNODE:        ${node.address}\n${long(node.image.version)}\tEnabled:     RBAC\n`)
      .join('');
  }

  private get(): string {
    const [name, id] = this.line.positional as [string, string?];
    const output = this.options.output ?? 'table';
    const found = this.nodes().flatMap((node) => {
      const all = this.resources(node, name).filter((each) => id === undefined || each.id === id);
      if (id !== undefined && all.length === 0) {
        const { type, namespace } = { type: name, namespace: 'runtime', ...this.resources(node, name)[0] };
        throw new Failure(
          `1 error occurred:\n\t* rpc error: code = NotFound desc = resource ${type}(${namespace}/${id}@undefined) doesn't exist\n`,
        );
      }
      return all.map((resource) => ({ node, ...resource }));
    });
    const documents = found.map(({ node, namespace, type, id: name, spec }) => ({
      metadata: {
        created: '2026-01-01T00:00:00Z',
        id: name,
        namespace,
        owner: 'controller',
        phase: 'running',
        type,
        updated: '2026-01-01T00:00:00Z',
        version: 1,
      },
      // In maintenance mode no node is named.
      node: this.options.insecure === 'true' ? '' : node.address,
      spec,
    }));
    if (output === 'json') return documents.map((each) => `${JSON.stringify(each, null, 4)}\n`).join('');
    if (output === 'yaml')
      return documents
        .map((each) => `---\n${stringify({ node: each.node, metadata: each.metadata, spec: each.spec })}`)
        .join('');
    const path = /^jsonpath=\{((?:\.[\w-]+)+)\}$/.exec(output)?.[1];
    if (path)
      return documents
        .map((each) =>
          path
            .slice(1)
            .split('.')
            .reduce((value: any, key) => value?.[key], each),
        )
        .map((value) => `${typeof value === 'object' ? JSON.stringify(value, null, 4) : String(value)}\n`)
        .join('');
    if (output !== 'table') throw new Failure(`output format "${output}" is not supported`);
    const columns = Object.keys(found[0]?.columns ?? {});
    return table([
      ['NODE', 'NAMESPACE', 'TYPE', 'ID', 'VERSION', ...columns.map((column) => column.toUpperCase())],
      ...found.map((each) => [
        this.options.insecure === 'true' ? '' : each.node.address,
        ...[each.namespace, each.type.replace(/es\..*|s\..*/, ''), each.id, '1'],
        ...columns.map((column) => String(each.columns[column])),
      ]),
    ]);
  }

  private resources(node: TalosNode, name: string): Resource[] {
    const make = (
      namespace: string,
      type: string,
      id: string,
      spec: object | string,
      columns: readonly string[] = [],
    ): Resource => ({
      ...{ namespace, type, id, spec },
      columns: Object.fromEntries(columns.map((column) => [column, (spec as Record<string, unknown>)[column]])),
    });
    const { config } = node;
    switch (name.toLowerCase().replace(/\..*$/, '')) {
      case 'machinestatus':
      case 'machinestatuses': {
        const unmet = node.ready || !config ? [] : [{ name: 'nodeReady', reason: 'node is not ready' }];
        const status = { ready: unmet.length === 0, unmetConditions: unmet };
        return [
          {
            ...make('runtime', 'MachineStatuses.runtime.talos.dev', 'machine', { stage: node.stage, status }),
            columns: { stage: node.stage, ready: status.ready },
          },
        ];
      }
      case 'disk':
      case 'disks':
        return drivesOf(this.context.state, node.vm).map((drive) =>
          make(
            'runtime',
            'Disks.block.talos.dev',
            drive.device.slice(5),
            {
              ...{
                dev_path: drive.device,
                size: drive.size,
                pretty_size: pretty(drive.size),
                io_size: 512,
                sector_size: 512,
              },
              ...{ readonly: drive.cdrom, cdrom: drive.cdrom },
              ...(drive.serial && { serial: drive.serial }),
              ...(drive.slot.startsWith('scsi') && { model: 'QEMU HARDDISK' }),
              transport: drive.transport,
            },
            ['pretty_size', 'readonly', 'transport', 'serial'],
          ),
        );
      case 'volumestatus':
      case 'volumestatuses':
      case 'vs':
        return [
          ...['EPHEMERAL', 'META', 'STATE'].map((id) =>
            make(
              'runtime',
              'VolumeStatuses.block.talos.dev',
              id,
              { phase: config ? 'ready' : 'missing', type: 'partition' },
              ['type', 'phase'],
            ),
          ),
          ...(config?.volumes ?? []).map((volume) => {
            const { phase, error, drive } = volumePhase(this.context.state, node, volume.name, volume.match);
            const there = drive && {
              location: `${drive.device}1`,
              parentLocation: drive.device,
              size: drive.size,
              prettySize: pretty(drive.size),
              filesystem: volume.filesystem,
            };
            return make(
              'runtime',
              'VolumeStatuses.block.talos.dev',
              `u-${volume.name}`,
              { phase, type: 'partition', ...there, ...(error && { errorMessage: error }) },
              ['type', 'phase', 'location', 'prettySize'],
            );
          }),
        ];
      case 'mountstatus':
      case 'mountstatuses':
        return (config?.volumes ?? []).flatMap((volume) => {
          const { drive } = volumePhase(this.context.state, node, volume.name, volume.match);
          const spec = drive && {
            spec: { volumeID: `u-${volume.name}`, parentID: '', readOnly: false },
            source: `${drive.device}1`,
            target: `/var/mnt/${volume.name}`,
            filesystem: volume.filesystem,
            readOnly: false,
            projectQuotaSupport: false,
            detached: false,
          };
          return spec
            ? [
                make('runtime', 'MountStatuses.block.talos.dev', `u-${volume.name}`, spec, [
                  'source',
                  'target',
                  'filesystem',
                ]),
              ]
            : [];
        });
      case 'member':
      case 'members':
        return talosNodes(this.context.state)
          .filter((each) => each.config && each.config.authority === config?.authority && each.stage === 'running')
          .map((each) =>
            make(
              'cluster',
              'Members.cluster.talos.dev',
              each.hostname,
              {
                nodeId: `node-${each.vmid}`,
                addresses: [each.address],
                hostname: each.hostname,
                machineType: each.config!.controlPlane ? 'controlplane' : 'worker',
                operatingSystem: `Talos (${each.image.version})`,
              },
              ['hostname', 'machineType', 'operatingSystem', 'addresses'],
            ),
          );
      case 'nodename':
      case 'nodenames':
        return config
          ? [
              make(
                'k8s',
                'Nodenames.kubernetes.talos.dev',
                'nodename',
                { nodename: node.hostname, hostnameVersion: '1', skipNodeRegistration: false },
                ['nodename'],
              ),
            ]
          : [];
      case 'hostname':
      case 'hostnamestatus':
      case 'hostnamestatuses':
        return [
          make('network', 'HostnameStatuses.net.talos.dev', 'hostname', { hostname: node.hostname, domainname: '' }, [
            'hostname',
            'domainname',
          ]),
        ];
      case 'machineconfig':
      case 'machineconfigs':
      case 'mc': {
        const { config: active, staged = active } = node.disk;
        const all =
          active === undefined
            ? []
            : [
                ['v1alpha1', active],
                ['persistent', staged!],
              ];
        return all.map(([id, text]) => make('config', 'MachineConfigs.config.talos.dev', id!, text!));
      }
      case 'link':
      case 'links':
      case 'linkstatus':
        return [
          make(
            'network',
            'LinkStatuses.net.talos.dev',
            'enp6s18',
            {
              ...(config?.alias && { alias: config.alias.name }),
              type: 'ether',
              kind: '',
              hardwareAddr: macOf(node.vm),
              permanentAddr: macOf(node.vm),
              mtu: 1500,
              operationalState: 'up',
              linkState: true,
              driver: 'virtio_net',
            },
            ['type', 'kind', 'hardwareAddr', 'operationalState', 'linkState'],
          ),
        ];
      case 'address':
      case 'addresses':
      case 'addressstatus':
        return [
          make(
            'network',
            'AddressStatuses.net.talos.dev',
            `enp6s18/${node.address}/24`,
            {
              address: `${node.address}/24`,
              linkName: 'enp6s18',
              family: 'inet4',
              scope: 'global',
              flags: 'permanent',
            },
            ['address', 'linkName'],
          ),
        ];
    }
    throw new Unexpected(`talosctl get ${name}`);
  }

  private async apply(): Promise<Answer> {
    const { file, mode = 'auto' } = this.options;
    if (!file) throw new Failure('no filename supplied for configuration');
    if (this.line.lists['config-patch']) throw new Unexpected('apply-config --config-patch');
    const bytes = await this.context.read(file).catch((error: Error) => {
      throw new Failure(`failed to read configuration from "${file}": ${error.message}`);
    });
    const text = bytes.toString();
    if (text.length === 0) throw new Failure('no configuration data read');
    const nodes = this.nodes('error applying new configuration: ');
    await this.validate(text);
    const said = nodes.map((node) => this.applyTo(node, text, mode));
    return { stderr: said.map((each) => `${each}\n`).join('') };
  }

  private applyTo(node: TalosNode, text: string, wanted: string): string {
    const { disk } = node;
    const maintenance = node.config === undefined;
    const reason = maintenance ? undefined : rebootReason(disk.config!, text);
    const mode = maintenance && wanted === 'reboot' ? 'no-reboot' : wanted;
    if ((mode === 'no-reboot' || mode === 'try') && reason)
      throw new Failure(`error applying new configuration: rpc error: code = InvalidArgument desc = ${reason}`);
    const real = mode === 'auto' ? (reason ? 'reboot' : 'no-reboot') : mode;
    const details = {
      'no-reboot': 'Applied configuration without a reboot',
      try: 'Applied configuration without a reboot',
      staged: 'Staged configuration to be applied after the next reboot',
      reboot: 'Applied configuration with a reboot',
    }[real]!;
    const why = mode === 'auto' && reason ? `: ${reason}` : '';
    if (this.options['dry-run'] === 'true')
      return `Dry run summary:\n${details} (skipped in dry-run).\nConfig diff:\n\n${diff(disk.config ?? '', text)}`;
    if (real === 'try') throw new Unexpected('apply-config --mode try');
    if (maintenance) {
      disk.config = text;
      const image = readConfig(text).installImage;
      if (image) node.volume.image = { ...node.image, ...installedImage(image) };
      // It installs, and boots from its disk.
      bootTalos(disk, 'installing', 4);
    } else if (real === 'staged') disk.staged = text;
    else {
      disk.config = text;
      delete disk.staged;
      if (real === 'reboot') bootTalos(disk, 'rebooting');
    }
    return `${details}${why}`;
  }

  /** As the node does, but strictly: what it would only warn of is an error of ours. */
  private async validate(text: string): Promise<void> {
    const file = join(this.context.simulation.folder, `validate-${this.context.simulation.calls.length}.yaml`);
    fs.writeFileSync(file, text);
    const child = spawn(this.context.simulation.options.talosMachinery, [
      'validate',
      '--config',
      file,
      '--mode',
      'metal',
      '--strict',
    ]);
    let said = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (said += chunk.toString()));
    const code = await new Promise((done) => child.once('close', done));
    fs.rmSync(file);
    if (code !== 0)
      throw new Failure(`error applying new configuration: rpc error: code = InvalidArgument desc = ${said.trim()}`);
  }

  private bootstrap(): string {
    const nodes = this.nodes('error executing bootstrap: ');
    if (nodes.length > 1) throw new Failure('command "bootstrap" is not supported with multiple nodes');
    const refused = (code: string, why: string) =>
      new Failure(`error executing bootstrap: rpc error: code = ${code} desc = ${why}`);
    const [node] = nodes as [TalosNode];
    if (node.stage !== 'running') throw refused('FailedPrecondition', 'bootstrap is not available yet');
    if (!node.config!.controlPlane)
      throw refused('Unimplemented', 'bootstrap is only available on control plane nodes');
    if (node.disk.bootstrappedAt !== undefined) throw refused('AlreadyExists', 'etcd data directory is not empty');
    node.disk.bootstrappedAt = Date.now();
    this.context.state.cluster.kubernetes = node.config!.kubernetes;
    return '';
  }

  private kubeconfig(): string {
    const [node] = this.nodes('error copying: ') as [TalosNode];
    const text = this.context.simulation.options.kubeconfig?.();
    if (text === undefined) throw new Unexpected('the test gave no kubeconfig');
    if (!node.config!.controlPlane)
      throw new Failure(
        'error copying: rpc error: code = Unimplemented desc = kubeconfig is only available on control plane nodes',
      );
    const [given = '-'] = this.line.positional;
    if (given === '-') return text;
    const path = this.context.path(given);
    const file = fs.existsSync(path) && fs.statSync(path).isDirectory() ? join(path, 'kubeconfig') : path;
    if (fs.existsSync(file) && this.options.merge !== 'false') throw new Unexpected('a merge of kubeconfig files');
    if (fs.existsSync(file) && this.options.force !== 'true')
      throw new Failure(`kubeconfig file already exists, use --force to overwrite: "${given}"`);
    fs.writeFileSync(file, text, { mode: 0o600 });
    return '';
  }

  private async health(): Promise<Answer> {
    const [asked] = this.nodes('healthcheck error: ') as [TalosNode];
    const until = Date.now() + Math.min(seconds(this.options['wait-timeout'] ?? '20m0s') * 2, 3_000);
    const unhealthy = () =>
      talosNodes(this.context.state).filter(
        (node) => node.config && node.config.authority === asked.config!.authority && !node.ready,
      );
    while (unhealthy().length > 0 && Date.now() < until) await new Promise((done) => setTimeout(done, 20));
    const names = unhealthy().map((node) => node.address);
    const said = 'waiting for etcd to be healthy: ...\n';
    if (names.length > 0)
      throw new Failure(
        `${said}healthcheck error: rpc error: code = DeadlineExceeded desc = context deadline exceeded`,
      );
    return {
      stderr: `${said}waiting for etcd to be healthy: OK\nwaiting for all k8s nodes to report ready: OK\nwaiting for all k8s nodes to report schedulable: OK\n`,
    };
  }

  private service(): string {
    const [only, action] = this.line.positional;
    if (action !== undefined && action !== 'status') throw new Unexpected(`talosctl service ${only} ${action}`);
    const names = ({ config }: TalosNode) => [
      'apid',
      'containerd',
      'cri',
      ...(config?.controlPlane ? ['etcd', 'trustd'] : []),
      'kubelet',
      'machined',
    ];
    const seen = (node: TalosNode, name: string) => {
      const waits = (name === 'etcd' && node.disk.bootstrappedAt === undefined) || (name === 'kubelet' && !node.ready);
      return waits
        ? { state: 'Preparing', health: '?', event: 'Running pre state' }
        : { state: 'Running', health: 'OK', event: 'Health check successful' };
    };
    if (only === undefined)
      return this.lines('NODE SERVICE STATE HEALTH LAST_CHANGE LAST_EVENT', (node) =>
        names(node).map((name) => {
          const { state, health, event } = seen(node, name);
          return [name, state, health, '1m0s ago', event];
        }),
      );
    const nodes = this.nodes('error listing services: ').filter((node) => names(node).includes(only));
    if (nodes.length === 0) throw new Failure(`service "${only}" is not registered on any nodes`);
    // One service is shown with its events, one below the other (pkg/machinery/formatters, RenderServicesInfo).
    const rows = nodes.flatMap((node) => {
      const { state, health, event } = seen(node, only);
      return [
        ['NODE', node.address],
        ['ID', only],
        ['STATE', state],
        ['HEALTH', health],
        ['EVENTS', `[${state}]: ${event} (1m0s ago)`],
      ];
    });
    const width = Math.max(...rows.map(([label]) => label!.length)) + 3;
    return rows.map(([label, value]) => `${label!.padEnd(width)}${value}\n`).join('');
  }

  private reset(node: TalosNode): void {
    for (const device of this.line.lists['user-disks-to-wipe'] ?? []) {
      const drive = drivesOf(this.context.state, node.vm).find((each) => each.device === device);
      if (drive) delete this.context.state.volumes[drive.id]!.label;
    }
    // Without a list of labels the whole system disk is empty, the boot loader with it.
    if (this.options['wipe-mode'] !== 'user-disks' && !this.line.lists['system-labels-to-wipe'])
      delete node.volume.image;
    delete node.disk.config;
    delete node.disk.bootstrappedAt;
    node.disk.volumes = {};
    if (this.options.reboot === 'true') bootTalos(node.disk, 'resetting');
    else stopVm(this.context.simulation, node.vmid);
  }

  private upgrade(node: TalosNode): void {
    const { image } = this.options;
    if (!image) throw new Unexpected('upgrade without --image');
    node.volume.image = { ...installedImage(image), ...(node.image.size && { size: node.image.size }) };
    if (this.options.stage !== 'true' && this.options['no-reboot'] !== 'true') bootTalos(node.disk, 'upgrading', 2);
  }

  private upgradeKubernetes(): string {
    const [node] = this.nodes() as [TalosNode];
    const from = this.context.state.cluster.kubernetes ?? node.config!.kubernetes;
    const to = `v${(this.options.to ?? '1.36.3').replace(/^v/, '')}`;
    const plan = `automatically detected the lowest Kubernetes version ${from.slice(1)}\ndiscovered controlplane nodes ["${node.address}"]\nchecking for removed Kubernetes component flags\n`;
    if (!node.ready)
      throw new Failure(
        `error getting kubernetes client: Get "https://${node.address}:6443/version": dial tcp ${node.address}:6443: connect: connection refused`,
      );
    const minor = (version: string) => Number(version.split('.')[1]);
    if (minor(to) - minor(from) > 1 || minor(to) < minor(from))
      throw new Failure(`unsupported upgrade path ${from.slice(1)}->${to.slice(1)}`);
    const all = talosNodes(this.context.state).filter(({ config }) => config?.authority === node.config!.authority);
    // The configuration in force is written back to control planes even by a dry run (patchKubeProxy), and takes the place of
    // a staged one; to workers when their kubelet changes.
    const isDry = this.options['dry-run'] === 'true';
    for (const { config, disk } of all) if (config!.controlPlane || (!isDry && from !== to)) delete disk.staged;
    if (isDry)
      return `${plan}updating kube-proxy to version "${to.slice(1)}"\n > "${node.address}": starting update\n > skipped in dry-run\nupdating manifests (dry run)\n < unchanged DaemonSet/kube-system/kube-flannel\n`;
    this.context.state.cluster.kubernetes = to;
    for (const { disk } of all) disk.config = disk.config!.replaceAll(`:${from}`, `:${to}`);
    return `${plan}updating kube-apiserver to version "${to.slice(1)}"\nupdating manifests\n`;
  }

  private snapshot(): string {
    const [node] = this.nodes() as [TalosNode];
    if (!node.config!.controlPlane || node.disk.bootstrappedAt === undefined)
      throw new Failure(
        'error reading file: rpc error: code = Unimplemented desc = etcd snapshot is only available on control plane nodes',
      );
    const [path] = this.line.positional as [string];
    const content = `etcd snapshot ${JSON.stringify(this.context.state.extra.members)}\n`;
    fs.writeFileSync(this.context.path(path), content, { mode: 0o600 });
    return `etcd snapshot saved to "${path}" (${content.length} bytes)\nsnapshot info: hash 6c1b6d4c, revision 1000, total keys 500, total size ${content.length}\n`;
  }

  private etcd(node: TalosNode): string {
    if (node.config?.controlPlane && node.ready) return '2e1d0c3b4a596877';
    throw new Failure('rpc error: code = Unavailable desc = etcd is not running');
  }

  private read(path: string): string {
    const [node] = this.nodes() as [TalosNode];
    const known: Readonly<Record<string, string>> = {
      '/proc/sys/kernel/random/boot_id': `00000000-0000-4000-8000-${String(node.disk.boots).padStart(12, '0')}\n`,
      '/proc/sys/vm/max_map_count': `${/vm\.max_map_count: ?"?(\d+)/.exec(node.config!.text)?.[1] ?? 65530}\n`,
    };
    if (known[path] === undefined) throw new Unexpected(`talosctl read ${path}`);
    return known[path];
  }

  private each(act: (node: TalosNode) => void): Answer {
    const nodes = this.nodes();
    const addresses = nodes.map(({ address }) => address);
    for (const node of nodes) act(node);
    return {
      stderr: `◲ watching nodes: [${addresses.join(' ')}]\n${addresses.map((address) => `"${address}": post check passed\n`).join('')}`,
    };
  }

  private lines(header: string, rows: (node: TalosNode) => readonly (readonly string[])[]): string {
    const head = header.split(' ').map((each) => each.replaceAll('_', ' '));
    return table([head, ...this.nodes().flatMap((node) => rows(node).map((cells) => [node.address, ...cells]))]);
  }
}

function unavailable(why: string): string {
  return `rpc error: code = Unavailable desc = connection error: desc = "${why}"`;
}

/** Why a change cannot be applied at once, as the node says; only what reaches far is looked at. */
function rebootReason(before: string, after: string): string | undefined {
  const machine = (text: string): any =>
    parseYaml(text.split(/^---$/m).find((part) => /^machine:/m.test(part)) ?? '')?.machine ?? {};
  const [old, next] = [machine(before), machine(after)];
  const changed = NEEDS_REBOOT.find((key) => JSON.stringify(old[key]) !== JSON.stringify(next[key]));
  return changed && `this config change can't be applied in immediate mode\ndiff: .machine.${changed} changed`;
}

/** What a dry run shows: lines that go and lines that come. */
function diff(before: string, after: string): string {
  if (before === after) return 'No changes.';
  const [old, next] = [before.split('\n'), after.split('\n')];
  const lines = [
    ...old.filter((each) => !next.includes(each)).map((each) => `-${each}`),
    ...next.filter((each) => !old.includes(each)).map((each) => `+${each}`),
  ];
  return `--- a\n+++ b\n@@ -1 +1 @@\n${lines.join('\n')}`;
}

function table(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)));
  return rows
    .map(
      (row) =>
        `${row.map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column]! + 3))).join('')}\n`,
    )
    .join('');
}

function pretty(bytes: number): string {
  return bytes >= 1e9 ? `${Math.round(bytes / 1e9)} GB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

function seconds(duration: string): number {
  const units: Readonly<Record<string, number>> = { h: 3600, m: 60, s: 1 };
  return [...duration.matchAll(/([\d.]+)([hms])/g)].reduce(
    (sum, [, number, unit]) => sum + Number(number) * units[unit!]!,
    0,
  );
}
