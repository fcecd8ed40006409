import { drivesOf, macOf, talosNodes, volumePhase, type TalosNode } from '../../life';
import { Unexpected } from '../program';
import type { Session } from './session';

export interface Resource {
  readonly namespace: string;
  readonly type: string;
  readonly id: string;
  readonly spec: unknown;
  /** Columns of the table, besides those that all have. */
  readonly columns: Readonly<Record<string, unknown>>;
}

/** What a node knows of itself, of one kind. */
export function resources(session: Session, node: TalosNode, name: string): Resource[] {
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
      return drivesOf(session.context.state, node.vm).map((drive) =>
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
          const { phase, error, drive } = volumePhase(session.context.state, node, volume.name, volume.match);
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
        const { drive } = volumePhase(session.context.state, node, volume.name, volume.match);
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
      return talosNodes(session.context.state)
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

function pretty(bytes: number): string {
  return bytes >= 1e9 ? `${Math.round(bytes / 1e9)} GB` : `${(bytes / 1e6).toFixed(1)} MB`;
}
