import { hostOf, type Homelab, type TalosMachine } from '../../../inventory';
import { longestGrace } from '../../../values/grace';
import { CommandFailed } from '../../engine/commands';
import { manifests, proxmox, type Context } from '../../clients/context';
import { NotReady, Problem, Blocked } from '../../engine/problem';
import type { Change, Step } from '../../engine/step';
import { SECOND, until } from '../../engine/wait';
import { downSeconds } from '../../../machines/vms';
import { BUSYBOX } from '../../../machines/pins';
import { isReady } from '../../clients/kubernetes-nodes';
import { nodeObject } from '../../clients/kubernetes-nodes';
import { bootId, isOn } from '../../clients/talos';

/** On the Node: how long its shutdown took, when that was proved. */
export const PROVED = 'collab-homelab/shutdown-proof';

/** A node is up within 2 minutes; it may also pull images again. */
const START_SECONDS = 600;

/**
 * Once per node, before any data exists: Proxmox' shutdown ends by itself in time, and a pod that takes as long to stop as
 * the slowest of ours was let end. If not, each power cut and each update of the host would cut databases off.
 */
export function shutdownProof(context: Context, name: string, machine: TalosMachine): Step {
  const grace = longestGrace(manifests().map(({ object }) => object));
  const change = shutdownChange(context.homelab, name, machine, grace);
  return {
    title: `${name} shuts down in time`,
    async plan() {
      try {
        const node = await nodeObject(context.kubernetes, name);
        if (node.metadata.annotations?.[PROVED] !== undefined) return undefined;
        // Too late to prove it without harm: databases may be there.
        if (await databasesExist(context)) return undefined;
      } catch (error) {
        // Said from the beginning, so that the owner agrees before anything is done.
        if (!(error instanceof NotReady)) throw error;
      }
      return change;
    },
    async apply(_, progress) {
      const host = proxmox(context, hostOf(context.homelab, machine));
      await startPod(context, name, grace, progress);
      const down = downSeconds(context.homelab, machine);
      progress(`VM ${machine.vmid} shuts down (at most ${down} s)`);
      const seconds = await shutdown(context, name, machine);
      if (await isOn(context, name))
        throw new Blocked(`qm shutdown ${machine.vmid} said that ${name} is off, and it is on; run this again`);
      await context.commands.change(host, ['qm', 'start', String(machine.vmid)]);
      await until(`${name} to be ready again`, { seconds: START_SECONDS }, progress, async () => {
        return isReady(await nodeObject(context.kubernetes, name), await bootId(context, machine)) ? true : undefined;
      });
      await assertEnded(context, name, grace, progress);
      await removePod(context, name);
      const said = `${seconds} s of ${down} s, with a pod that took ${grace} s`;
      await context.kubernetes.change(['annotate', 'node', name, `${PROVED}=${said}`, '--overwrite']);
    },
  };
}

/** A pod that is told to stop, and takes exactly that long to do it. */
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

function shutdownChange(homelab: Homelab, name: string, machine: TalosMachine, grace: number): Change {
  const down = downSeconds(homelab, machine);
  return {
    lines: [
      `a pod on ${name} that takes ${grace} s to stop`,
      `qm shutdown ${machine.vmid} --timeout ${down}: must end by itself; then qm start ${machine.vmid}`,
    ],
    asks: [
      `${name} is shut down and started again, once, as long as it holds no data (about ${Math.ceil((grace + 180) / 60)} minutes)`,
    ],
  };
}

/** @returns the seconds that it took */
async function shutdown(context: Context, name: string, machine: TalosMachine): Promise<number> {
  const down = downSeconds(context.homelab, machine);
  const host = hostOf(context.homelab, machine);
  const begin = Date.now();
  try {
    await context.commands.change(
      proxmox(context, host),
      ['qm', 'shutdown', String(machine.vmid), '--timeout', String(down)],
      { seconds: down + 60, waitsFor: `${name} to shut down` },
    );
  } catch (error) {
    if (!(error instanceof CommandFailed)) throw error;
    throw new Blocked(
      `${name} must shut down by itself within ${down} s, and did not: ${error.message}; look at its console (qm terminal ${machine.vmid} on ${host}) and at talosctl dmesg, start it, and run this again; no database may be put on it before`,
    );
  }
  return Math.round((Date.now() - begin) / SECOND);
}

async function startPod(
  context: Context,
  name: string,
  grace: number,
  progress: (what: string) => void,
): Promise<void> {
  // One of an earlier run may have ended, or end now.
  if (!isRunning(await pod(context, name))) {
    await removePod(context, name);
    await context.kubernetes.change(['create', '-f', '-'], { stdin: JSON.stringify(slowPod(name, grace)) });
  }
  await until(`a pod to run on ${name}`, { seconds: 300 }, progress, async () => {
    const found = await pod(context, name);
    if (isRunning(found)) return true;
    const { reason, message } = found?.status?.containerStatuses?.[0]?.state?.waiting ?? {};
    throw new Problem([reason ?? found?.status?.phase ?? 'it is not there', message].filter(Boolean).join(': '));
  });
}

async function assertEnded(
  context: Context,
  name: string,
  grace: number,
  progress: (what: string) => void,
): Promise<void> {
  // The kubelet tells how it ended before the machine is off, or at its next start.
  const state = await until(`the pod on ${name} to have ended`, { seconds: 120 }, progress, async () => {
    const { terminated } = (await pod(context, name))?.status?.containerStatuses?.[0]?.state ?? {};
    return terminated as { exitCode: number; reason?: string } | undefined;
  });
  if (state.exitCode !== 0)
    throw new Blocked(
      `a pod that takes ${grace} s to stop must be let end when ${name} shuts down, and was killed (exit code ${state.exitCode}${state.reason ? `, ${state.reason}` : ''}); talos.shutdownGracePeriod in homelab.ts must outlast it, and apply talos must have brought it to the node`,
    );
}

async function removePod(context: Context, name: string): Promise<void> {
  await context.kubernetes.change(
    [
      'delete',
      'pod',
      podName(name),
      '-n',
      'default',
      '--ignore-not-found',
      '--grace-period=1',
      '--timeout=60s',
      '--request-timeout=0',
    ],
    { seconds: 90 },
  );
}

/** Whether a volume of a database was ever in use. Its namespace says nothing: stage secrets makes that before any data. */
async function databasesExist(context: Context): Promise<boolean> {
  const { items = [] } = (await context.kubernetes.get(['persistentvolumes'])) ?? {};
  const isDatabase = (namespace: string) => Object.hasOwn(context.homelab.databases, namespace);
  // Released: its claim was removed, its data is still there.
  return items.some(
    ({ spec, status }: any) =>
      ['Bound', 'Released'].includes(status?.phase) && isDatabase(String(spec?.claimRef?.namespace)),
  );
}

function pod(context: Context, name: string): Promise<any> {
  return context.kubernetes.get(['pod', podName(name), '-n', 'default']);
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
