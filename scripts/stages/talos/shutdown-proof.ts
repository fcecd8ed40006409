import { downSeconds, type Homelab } from '../../../inventory';
import { longestGrace } from '../../../values/grace';
import { CommandFailed } from '../../engine/commands';
import { manifests } from '../../clients/context';
import { NotReady, Problem, Blocked } from '../../engine/problem';
import { step, type Action, type Change, type Progress, type Step } from '../../engine/step';
import { SECOND, until } from '../../engine/wait';
import { BUSYBOX } from '../../../machines/pins';
import type { Kubernetes } from '../../clients/kubernetes';
import { isReady, nodeObject } from '../../clients/kubernetes-nodes';
import type { TalosNode } from '../../clients/talos';
import { action } from '../../engine/actions';

/** On the Node: how long its shutdown took, when that was proved. */
export const PROVED = 'collab-homelab/shutdown-proof';

/** A node is up within 2 minutes; it may also pull images again. */
const START_SECONDS = 600;

/**
 * Once per node, before any data exists: Proxmox' shutdown ends by itself in time, and a pod that takes as long to stop as
 * the slowest of ours was let end. If not, each power cut and each update of the host would cut databases off.
 */
export function shutdownProof(homelab: Homelab, kubernetes: Kubernetes, node: TalosNode): Step {
  const { name } = node;
  const grace = longestGrace(manifests().map(({ object }) => object));
  const down = downSeconds(homelab, node.machine);
  const change: Change = {
    actions: proofActions(kubernetes, node, grace, down),
    asks: [
      `${name} is shut down and started again, once, as long as it holds no data (about ${Math.ceil((grace + 180) / 60)} minutes)`,
    ],
  };
  return step(`${name} shuts down in time`, async () => {
    try {
      const { metadata } = await nodeObject(kubernetes, name);
      if (metadata.annotations?.[PROVED] !== undefined) return undefined;
      // Too late to prove it without harm: databases may be there.
      if (await databasesExist(kubernetes, homelab)) return undefined;
    } catch (error) {
      // Said from the beginning, so that the owner agrees before anything is done.
      if (!(error instanceof NotReady)) throw error;
    }
    return change;
  });
}

function proofActions(kubernetes: Kubernetes, node: TalosNode, grace: number, down: number): Action[] {
  const { name, vm } = node;
  let seconds = 0;
  const off = vm.shutdown(down);
  return [
    action(`a pod on ${name} that takes ${grace} s to stop`, (progress) => startPod(kubernetes, name, grace, progress)),
    action(`${off.lines[0]}: it must end by itself`, async (progress) => {
      progress(`${vm.label} shuts down (at most ${down} s)`);
      seconds = await shutdown(off, node, down);
    }),
    vm.start(),
    action(`wait until ${name} is ready, and the pod has ended by itself`, async (progress) => {
      await until(`${name} to be ready again`, { seconds: START_SECONDS }, progress, async () =>
        isReady(await nodeObject(kubernetes, name), await node.bootId()),
      );
      await assertEnded(kubernetes, name, grace, progress);
      await removePod(kubernetes, name);
    }),
    action(`note on node ${name} how long it took (${PROVED})`, () =>
      kubernetes.change([
        ...['annotate', 'node', name, '--overwrite'],
        `${PROVED}=${seconds} s of ${down} s, with a pod that took ${grace} s`,
      ]),
    ),
  ];
}

/** A pod that takes exactly that long to stop. */
export function slowPod(name: string, grace: number): object {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: podName(name), namespace: 'default' },
    spec: {
      // Past the scheduler: it is this node that is proved, a control plane too.
      nodeName: name,
      tolerations: [{ operator: 'Exists' }],
      restartPolicy: 'Never',
      automountServiceAccountToken: false,
      // Longer than it takes: it must end by itself with 0, and is killed (137) only when it is not let.
      terminationGracePeriodSeconds: grace + 15,
      securityContext: { runAsNonRoot: true, runAsUser: 65534, seccompProfile: { type: 'RuntimeDefault' } },
      containers: [
        {
          name: 'slow',
          image: BUSYBOX,
          command: ['sh', '-c', `trap 'sleep ${grace}; exit 0' TERM; while true; do sleep 1; done`],
          resources: { requests: { cpu: '10m', memory: '16Mi' }, limits: { memory: '16Mi' } },
          securityContext: {
            allowPrivilegeEscalation: false,
            readOnlyRootFilesystem: true,
            capabilities: { drop: ['ALL'] },
          },
        },
      ],
    },
  };
}

/** @returns the seconds that it took */
async function shutdown(off: Action, node: TalosNode, down: number): Promise<number> {
  const { name, vm } = node;
  const begin = Date.now();
  try {
    await off.run(() => undefined);
  } catch (error) {
    if (!(error instanceof CommandFailed)) throw error;
    throw new Blocked(
      `${name} must shut down by itself within ${down} s, but did not: ${error.message}; look at its console (qm terminal of ${vm.label}) and at talosctl dmesg, start it, and run this again; no database may be put on it before`,
    );
  }
  if (await node.isOn()) throw new Blocked(`qm shutdown said that ${vm.label} is off, and it is on; run this again`);
  return Math.round((Date.now() - begin) / SECOND);
}

async function startPod(kubernetes: Kubernetes, name: string, grace: number, progress: Progress): Promise<void> {
  // One of an earlier run may have ended, or end now.
  if (!isRunning(await pod(kubernetes, name))) {
    await removePod(kubernetes, name);
    await kubernetes.change(['create', '-f', '-'], { stdin: JSON.stringify(slowPod(name, grace)) });
  }
  await until(`a pod to run on ${name}`, { seconds: 300 }, progress, async () => {
    const found = await pod(kubernetes, name);
    if (isRunning(found)) return true;
    const { reason, message } = found?.status?.containerStatuses?.[0]?.state?.waiting ?? {};
    throw new Problem([reason ?? found?.status?.phase ?? 'it is not there', message].filter(Boolean).join(': '));
  });
}

async function assertEnded(kubernetes: Kubernetes, name: string, grace: number, progress: Progress): Promise<void> {
  // The kubelet tells how it ended before the machine is off, or at its next start.
  const state = await until(`the pod on ${name} to have ended`, { seconds: 120 }, progress, async () => {
    const { terminated } = (await pod(kubernetes, name))?.status?.containerStatuses?.[0]?.state ?? {};
    return terminated as { exitCode: number; reason?: string } | undefined;
  });
  if (state.exitCode !== 0)
    throw new Blocked(
      `a pod that takes ${grace} s to stop must be let end when ${name} shuts down, and was killed (exit code ${state.exitCode}${state.reason ? `, ${state.reason}` : ''}); talos.shutdownGracePeriod in homelab.ts must outlast it, and apply talos must have brought it to the node`,
    );
}

async function removePod(kubernetes: Kubernetes, name: string): Promise<void> {
  const options = ['--ignore-not-found', '--grace-period=1', '--timeout=60s', '--request-timeout=0'];
  await kubernetes.change(['delete', 'pod', podName(name), '-n', 'default', ...options], { seconds: 90 });
}

/** Whether a volume of a database was ever in use. Its namespace says nothing: stage secrets makes that before any data. */
async function databasesExist(kubernetes: Kubernetes, homelab: Homelab): Promise<boolean> {
  const { items = [] } = (await kubernetes.get(['persistentvolumes'])) ?? {};
  const isDatabase = (namespace: string) => Object.hasOwn(homelab.databases, namespace);
  // Released: its claim was removed, its data is still there.
  return items.some(
    ({ spec, status }: any) =>
      ['Bound', 'Released'].includes(status?.phase) && isDatabase(String(spec?.claimRef?.namespace)),
  );
}

function pod(kubernetes: Kubernetes, name: string): Promise<any> {
  return kubernetes.get(['pod', podName(name), '-n', 'default']);
}

function isRunning(found: any): boolean {
  return (
    found?.metadata?.deletionTimestamp === undefined &&
    found?.status?.phase === 'Running' &&
    found?.status?.containerStatuses?.[0]?.state?.running !== undefined
  );
}

function podName(node: string): string {
  return `shutdown-proof-${node}`;
}
