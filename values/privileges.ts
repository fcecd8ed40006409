import { fieldsProblem, wholeNumber } from './fields';
import { reasonProblem } from './probes';
import { sentence } from './problem';

/** What an image of others needs against the defaults, each with its reason, which stands in the rendering. */
export interface Allow {
  /** Runs as root, as few images still must. The namespace then has the Pod Security level baseline, for all its pods. */
  readonly root?: string;
  /** Writes to its own root file system. First try `scratch` for the folders it names: what is written is lost, and unlimited. */
  readonly writableRoot?: string;
}

/** Added Linux capabilities and the reason for each, as `{ SETUID: 'drops to the user nginx' }`. */
export type Capabilities = Readonly<Record<string, string>>;

/** Those that the Pod Security level baseline permits (KEP-2579). */
const OF_BASELINE = [
  ...['AUDIT_WRITE', 'CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'FSETID', 'KILL', 'MKNOD', 'NET_BIND_SERVICE'],
  ...['SETFCAP', 'SETGID', 'SETPCAP', 'SETUID', 'SYS_CHROOT'],
];
/** Further ones of Linux. */
const OTHERS = [
  ...[
    'AUDIT_CONTROL',
    'AUDIT_READ',
    'BLOCK_SUSPEND',
    'BPF',
    'CHECKPOINT_RESTORE',
    'DAC_READ_SEARCH',
    'IPC_LOCK',
    'IPC_OWNER',
  ],
  ...['LEASE', 'LINUX_IMMUTABLE', 'MAC_ADMIN', 'MAC_OVERRIDE', 'NET_ADMIN', 'NET_BROADCAST', 'NET_RAW', 'PERFMON'],
  ...[
    'SYSLOG',
    'SYS_ADMIN',
    'SYS_BOOT',
    'SYS_MODULE',
    'SYS_NICE',
    'SYS_PACCT',
    'SYS_PTRACE',
    'SYS_RAWIO',
    'SYS_RESOURCE',
  ],
  ...['SYS_TIME', 'SYS_TTY_CONFIG', 'WAKE_ALARM'],
];

/** What is wrong with `allow`, as a sentence, or undefined. */
export function allowProblem(value: unknown, what: string): string | undefined {
  return fieldsProblem<Allow>(value, what, { root: reasonProblem, writableRoot: reasonProblem });
}

/** What is wrong with capabilities, as a sentence, or undefined. */
export function capabilitiesProblem(value: unknown, what: string): string | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return sentence({
      what: `${what} must be capabilities with reasons`,
      got: value,
      fix: "write capabilities: { SETUID: 'drops to the user nginx' }",
    });
  for (const [name, reason] of Object.entries(value)) {
    if (![...OF_BASELINE, ...OTHERS].includes(name))
      return sentence({
        what: `${what}.${name} must be a capability of Linux`,
        got: name,
        allowed: [...OF_BASELINE, 'NET_ADMIN', 'NET_RAW', '...'].join(', '),
        fix: name.startsWith('CAP_') ? `write ${name.slice(4)}` : 'write its name in capitals, without CAP_',
      });
    const problem = reasonProblem(reason, `${what}.${name}`);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

/** What is wrong with the two together, as a sentence, or undefined. */
export function privilegesProblem(
  {
    allow,
    capabilities,
    user,
  }: { readonly allow?: Allow; readonly capabilities?: Capabilities; readonly user?: number },
  at: (field: string) => string,
): string | undefined {
  if (allow?.root !== undefined && user !== undefined)
    return sentence({
      what: `${at('user')} must be left out with allow.root`,
      got: user,
      fix: 'remove one of the two',
    });
  const [first] = Object.keys(capabilities ?? {});
  if (first === undefined || allow?.root !== undefined) return undefined;
  return sentence({
    what: `${at('capabilities')} must be used with allow.root`,
    got: first,
    fix:
      first === 'NET_BIND_SERVICE'
        ? 'leave it out: containerd 2 lets every pod listen below 1024'
        : "a process that is not root never gets it: add allow: { root: 'why' }, or leave it out",
  });
}

/** The Pod Security level that a service needs. */
export function podSecurityOf({
  allow,
  capabilities = {},
}: {
  readonly allow?: Allow;
  readonly capabilities?: Capabilities;
}) {
  if (Object.keys(capabilities).some((name) => !OF_BASELINE.includes(name))) return 'privileged';
  return allow?.root === undefined ? 'restricted' : 'baseline';
}

/** Extended resources of nodes, such as GPUs: `{ 'nvidia.com/gpu': 1 }`. */
export type Devices = Readonly<Record<string, number>>;

/** What is wrong with devices, as a sentence, or undefined. */
export function devicesProblem(value: unknown, what: string): string | undefined {
  const names =
    typeof value === 'object' && value !== null && !Array.isArray(value) ? Object.entries(value) : undefined;
  const wrong = names?.find(
    ([name]) =>
      !/^(?=.{1,150}\/)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\/[A-Za-z0-9]([-\w.]{0,61}[A-Za-z0-9])?$/.test(
        name,
      ) || /(^|\.)kubernetes\.io\/|^requests\./.test(name),
  );
  if (names === undefined || wrong !== undefined)
    return sentence({
      what: `${what} must be devices of a plugin by their resource names`,
      got: wrong?.[0] ?? value,
      allowed: 'DOMAIN/NAME, not of kubernetes.io, nor with requests. in front',
      fix: "write devices: { 'gpu.intel.com/i915': 1 }",
    });
  return names
    .map(([name, count]) => wholeNumber(1, 64)(count, `${what}[${JSON.stringify(name)}]`))
    .find((problem) => problem !== undefined);
}

/** Nodes that a service requires: one machine by name, or all with a label. */
export type On = string | { readonly key: string; readonly value: string };

/** What is wrong with `on`, as a sentence, or undefined. */
export function onProblem(value: unknown, what: string): string | undefined {
  if (typeof value === 'string' && /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(value)) return undefined;
  if (typeof value === 'object' && value !== null) {
    const text = (given: unknown, place: string) =>
      typeof given === 'string' && /^[A-Za-z0-9]([-\w./]*[A-Za-z0-9])?$/.test(given)
        ? undefined
        : sentence({
            what: `${place} must be a part of a node label`,
            got: given,
            fix: 'write it as the machine has it',
          });
    return fieldsProblem<Exclude<On, string>>(value, what, { key: text, value: text }, ['key', 'value']);
  }
  return sentence({
    what: `${what} must be a machine or a node label`,
    got: value,
    fix: "write on: 'talos-worker-01', or on: { key: 'storage-type', value: 'ssd' }",
  });
}
