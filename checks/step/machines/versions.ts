import type { Step } from '../step';
import { minorOf, versionsOf, VERSIONS_FILE, type Versions } from '../versions';
import { APPLY, type Finding } from './finding';

type Located = Finding & { readonly files: readonly string[] };

/** The machines of an upgrade. */
export interface Machines {
  readonly nodes: readonly string[];
  readonly controlPlanes: readonly string[];
  readonly hosts: readonly string[];
  /** Where Ollama runs. */
  readonly beside: readonly string[];
}

/** The effects of changed versions. The version of Talos is in the image that every node installs. */
export function versionFindings(step: Step, machines: Machines): Located[] {
  const [was, is] = [versionsOf(step.before), versionsOf(step.after)];
  return [
    ...kubernetes(
      was.kubernetes ?? step.kubernetes,
      is.kubernetes ?? step.homelab?.versions.kubernetes,
      machines,
      is.kubernetes === undefined ? [] : [VERSIONS_FILE],
    ),
    ...UPGRADES.flatMap(({ name, effect }): Located[] => {
      const [from, to] = [was[name], is[name]];
      return from === undefined || to === undefined || from === to
        ? []
        : [{ ...effect(from, to, machines), files: [VERSIONS_FILE] }];
    }),
  ];
}

function kubernetes(
  from: string | undefined,
  to: string | undefined,
  { nodes, controlPlanes }: Machines,
  files: readonly string[],
): Located[] {
  if (from === undefined || to === undefined || from === to) return [];
  const problem = stepProblem(from, to);
  const what = `Kubernetes ${from} becomes ${to}`;
  if (problem !== undefined)
    return [{ machines: nodes, effect: 'nothing', reason: `${what}: ${problem}, so the upgrade is refused`, files }];
  const where = controlPlanes.length > 0 ? ` of ${controlPlanes.join(', ')}` : '';
  const reason = `${what}: no node reboots; API server, controller manager and scheduler${where} restart, and the kubelet and kube-proxy of every node, one after the other; your pods keep running. API calls fail for some seconds, and autoscaling waits`;
  return [{ machines: nodes, effect: 'live', reason, command: APPLY.upgrade, files }];
}

/** Upgrades that upgrade-k8s of Talos rejects. The bootstrap rejects them earlier. */
function stepProblem(from: string, to: string): string | undefined {
  const [[major, minor], [nextMajor, nextMinor]] = [minorOf(from), minorOf(to)];
  const older =
    nextMajor < major ||
    (nextMajor === major && (nextMinor < minor || (nextMinor === minor && patch(to) < patch(from))));
  if (older) return 'it cannot go back';
  return nextMajor !== major || nextMinor > minor + 1
    ? `only one minor version at a time: first write the last v${major}.${minor + 1}.x`
    : undefined;
}

function patch(version: string): number {
  return Number(version.split('.')[2]?.replace(/\D.*$/, '') ?? 0);
}

interface Upgrade {
  readonly name: keyof Versions;
  readonly effect: (from: string, to: string, machines: Machines) => Finding;
}

const UPGRADES: readonly Upgrade[] = [
  {
    name: 'argoCd',
    effect: (from, to) => ({
      machines: ['Argo CD'],
      effect: 'live',
      reason: `Argo CD ${from} becomes ${to}: its own pods restart, and nothing is synced meanwhile; deployed workloads keep running. A git push does not install it: run the command. machines/pins.ts must list the version`,
      command: APPLY.gitops,
    }),
  },
  {
    name: 'ollama',
    effect: (from, to, { beside }) => ({
      machines: beside,
      effect: 'live',
      reason: `Ollama ${from} becomes ${to}: it restarts and loads its models again`,
      command: APPLY.aiVm,
    }),
  },
  {
    name: 'proxmox',
    effect: (from, to, { hosts }) => ({
      machines: hosts,
      effect: 'nothing',
      reason: `Proxmox ${from} becomes ${to}: the bootstrap only checks it; upgrade it by hand, see docs/day-2.md, "Proxmox and its kernel"`,
    }),
  },
];
