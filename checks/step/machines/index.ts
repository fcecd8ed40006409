import type { MachineChange } from '../plan';
import type { State, Step } from '../step';
import { VERSIONS_FILE } from '../versions';
import { APPLY, EFFECTS, type FileChange, type Finding } from './finding';
import { clientsOfAddresses, loadOf, type Load } from './pods';
import { nodeLabels, talosFindings } from './talos';
import { addressesOf, ubuntuFinding } from './ubuntu';
import { versionFindings, type Machines } from './versions';
import { vmFindings, vmOf, type Vm } from './vm';

/** Changes of machines and their effects; empty if the files of one of the two states are unknown. */
export function machineChanges(step: Step): MachineChange[] {
  const { before, after } = step;
  const versions = versionFindings(step, machinesOf(after));
  if (!before.machines || !after.machines) return changesOf(versions, [], after);
  const files = differing(before.machines, after.machines);
  const found = [...versions, ...virtualMachines(files, after), ...files.flatMap((file) => findingsOf(file, after))];
  return changesOf(found, files, after);
}

type Located = Finding & { readonly files: readonly string[] };

function differing(before: ReadonlyMap<string, string>, after: ReadonlyMap<string, string>): FileChange[] {
  return [...new Set([...before.keys(), ...after.keys()])]
    .sort()
    .filter((path) => before.get(path) !== after.get(path))
    .map((path) => ({ path, before: before.get(path), after: after.get(path) }));
}

/** The machines of an upgrade. */
function machinesOf(state: State): Machines {
  const nodes = [...nodesOf(state).keys()];
  const hosts = hostsOf(state);
  const beside = [...hosts.values()].flat().filter((name) => state.machines?.has(`${name}${OLLAMA_UNIT}`));
  return {
    nodes,
    controlPlanes: nodes.filter((name) => isControlPlane(name, state)),
    hosts: [...hosts.keys()],
    beside: beside.length > 0 ? beside : ['Ollama'],
  };
}

const OLLAMA_UNIT = '/etc/systemd/system/ollama.service';

const NODE_FILE = /^talos\/nodes\/(.+)\.patch\.yaml$/;

/** Labels of the nodes of a state by their names. */
function nodesOf({ machines = new Map() }: State): Map<string, Readonly<Record<string, string>>> {
  return new Map(
    [...machines].flatMap(([path, text]) => {
      const [, name] = NODE_FILE.exec(path) ?? [];
      return name === undefined ? [] : [[name, nodeLabels(name, text)] as const];
    }),
  );
}

/** The hosts of a state and the machines on them. */
function hostsOf({ machines = new Map() }: State): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const path of machines.keys()) {
    const [, host, name] = /^(.+)\/vms\/\d+-(.+)\.sh$/.exec(path) ?? [];
    if (host !== undefined) found.set(host, [...(found.get(host) ?? []), name!]);
  }
  return found;
}

function findingsOf(file: FileChange, after: State): Located[] {
  const { path, before, after: now } = file;
  const at = (findings: readonly Finding[]) => findings.map((each) => ({ ...each, files: [path] }));
  if (path.includes('/vms/') || path === VERSIONS_FILE) return [];
  if (path.startsWith('talos/')) {
    const node = NODE_FILE.exec(path)?.[1];
    // A new or removed node is reported as a virtual machine.
    if (before === undefined || now === undefined) return [];
    return at(talosFindings(before, now, node === undefined ? nodesFor(path, after) : [node]));
  }
  const owner = path.split('/')[0]!;
  if (hostsOf(after).has(owner)) return at([hostFinding(owner, file)]);
  return before === undefined && path.includes('/cloud-init/') ? [] : at([ubuntuFinding(owner, file)]);
}

/** The nodes of a role. The patch does not name the role: the node whose virtual machine starts first is the control plane. */
function nodesFor(path: string, after: State): string[] {
  const all = [...nodesOf(after).keys()];
  const controlPlanes = all.filter((name) => isControlPlane(name, after));
  if (path.includes('control-plane')) return controlPlanes.length > 0 ? controlPlanes : all;
  if (path.includes('worker')) return all.filter((name) => !controlPlanes.includes(name));
  return all;
}

/** Proxmox waits after it starts a control plane, but not after a worker. */
function isControlPlane(name: string, { machines = new Map() }: State): boolean {
  const [, text] = [...machines].find(([path]) => path.endsWith(`-${name}.sh`) && path.includes('/vms/')) ?? [];
  return /--startup \S*up=(?!0\b)\d+/.test(text ?? '');
}

function hostFinding(host: string, { path, before, after }: FileChange): Finding {
  const file = path.slice(host.length);
  if (after === undefined)
    return {
      machines: [host],
      effect: 'nothing',
      reason: `${file} is no longer rendered: it stays on ${host} until you remove it`,
    };
  if (file.startsWith('/etc/systemd/'))
    return { machines: [host], effect: 'live', reason: `${file} is written while it runs`, command: APPLY.host };
  return {
    machines: [host],
    effect: 'host-reboot',
    reason: `${file} ${before === undefined ? 'is new' : 'changes'}: ${host} applies it at its next start, and every machine on it stops meanwhile`,
    command: APPLY.host,
  };
}

function virtualMachines(files: readonly FileChange[], after: State): Located[] {
  const scripts = files.filter(({ path }) => path.includes('/vms/'));
  const side = (key: 'before' | 'after') =>
    new Map(
      scripts.flatMap(({ path, [key]: text }) => {
        if (text === undefined) return [];
        const vm = vmOf(path, text);
        return [[vm.vmid, { vm, path }] as const];
      }),
    );
  const [old, now] = [side('before'), side('after')];
  const moved = movedDisks(
    [...old.values()].map(({ vm }) => vm),
    [...now.values()].map(({ vm }) => vm),
  );
  const nodes = nodesOf(after);
  return [...new Set([...old.keys(), ...now.keys()])].flatMap((vmid): Located[] => {
    const [was, is] = [old.get(vmid), now.get(vmid)];
    const paths = [...new Set([was?.path, is?.path].filter((path) => path !== undefined))];
    const findings = !was
      ? [fresh(is!.vm, nodes.has(is!.vm.name), moved)]
      : !is
        ? [gone(was.vm)]
        : vmFindings(was.vm, is.vm, nodes.has(is.vm.name), moved);
    return findings.map((each) => ({ ...each, files: paths }));
  });
}

/** The old and new machines of moved disks: "from SERIAL" and "to SERIAL". */
function movedDisks(before: readonly Vm[], after: readonly Vm[]): Map<string, string> {
  const homes = (vms: readonly Vm[]) =>
    new Map(vms.flatMap(({ name, disks }) => [...disks.keys()].map((serial) => [serial, name] as const)));
  const [old, now] = [homes(before), homes(after)];
  return new Map(
    [...now].flatMap(([serial, name]) => {
      const from = old.get(serial);
      if (from === undefined || from === name) return [];
      return [[`from ${serial}`, from] as const, [`to ${serial}`, name] as const];
    }),
  );
}

function fresh({ name, host, disks }: Vm, isNode: boolean, moved: ReadonlyMap<string, string>): Finding {
  const lost = [...disks.keys()].filter((serial) => moved.has(`from ${serial}`));
  return {
    machines: [name],
    effect: lost.length > 0 ? 'data' : 'new-machine',
    reason: `${name} is created on ${host}${lost.length > 0 ? `, with empty disks ${lost.join(', ')}: nothing copies the data from those of ${moved.get(`from ${lost[0]}`)}` : ''}`,
    command: `${APPLY.vms}, then ${isNode ? APPLY.talos : APPLY.aiVm}`,
  };
}

/** The bootstrap removes no machine by itself. */
function gone({ name, host, vmid, disks }: Vm): Finding {
  const serials = [...disks.keys()];
  return {
    machines: [name],
    effect: serials.length > 0 ? 'data' : 'gone',
    reason: `${name} is no longer declared: VM ${vmid} keeps running until you remove it from ${host}${serials.length > 0 ? `, with its disks ${serials.join(', ')}` : ''}`,
  };
}

/** One for each machine, effect and command, the worst first. */
function changesOf(found: readonly Located[], files: readonly FileChange[], after: State): MachineChange[] {
  const groups = new Map<string, Located[]>();
  for (const each of found) {
    const key = JSON.stringify([each.machines, each.effect, each.command]);
    groups.set(key, [...(groups.get(key) ?? []), each]);
  }
  return [...groups.values()]
    .map((all): MachineChange => {
      const { machines, effect, command } = all[0]!;
      return {
        machine: machines.join(', '),
        files: [...new Set(all.flatMap((each) => each.files))],
        effect,
        reason: `${all.map(({ reason }) => reason).join('; ')}.`,
        ...loadOn(machines, effect, files, after),
        ...(command !== undefined && { command }),
      };
    })
    .sort((a, b) => EFFECTS.indexOf(b.effect) - EFFECTS.indexOf(a.effect));
}

const NO_LOAD: Load = { pods: [], clients: [] };

/** The pods that stop if a machine stops. */
function loadOn(
  machines: readonly string[],
  effect: MachineChange['effect'],
  files: readonly FileChange[],
  after: State,
): Load {
  const hosts = hostsOf(after);
  const names = machines.flatMap((name) => hosts.get(name) ?? [name]);
  const all = nodesOf(after);
  const nodes = new Map(names.flatMap((name) => (all.has(name) ? [[name, all.get(name)!] as const] : [])));
  const stops = !['nothing', 'live', 'new-machine', 'gone'].includes(effect);
  const load = stops && nodes.size > 0 ? loadOf(after, nodes) : NO_LOAD;
  const beside = names.filter((name) => !all.has(name));
  const restarts = stops || files.some(({ path }) => path.includes('/ollama.service'));
  if (!restarts || effect === 'nothing' || beside.length === 0) return load;
  const addresses = beside.flatMap((name) => addressesOf(after.machines?.get(`${name}/cloud-init/network.yaml`)));
  const clients = clientsOfAddresses(after, addresses);
  return { pods: load.pods, clients: [...new Set([...load.clients, ...clients])].sort() };
}
