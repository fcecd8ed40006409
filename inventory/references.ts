import { ipv4, ipv4Network } from '../values/names';
import { membersPerRackProblem, membersProblem, podsProblem } from '../values/members';
import { suggested } from '../values/nearest';
import { LLM_CHECKS } from '../values/llm-keys';
import { missing, sentence } from '../values/problem';
import { targetOf, variablesOf } from './connections';
import { databasePods, hostOf, SYSTEM_PLACES, workers } from './derived';
import { FIXED_NAMESPACES, FOLDERS } from './names';
import type { Connection, Homelab, NodeLabel, Service } from './homelab';
import { backupProblems } from './backup-places';
import { capacityProblems } from './capacity';
import { modelFitProblems } from './model-fit';
import { mayUse, modelProblems } from './model-references';
import { networkProblems } from './networks';
import { at } from './shape';

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
    disks,
    databases,
    services,
    connections,
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
    ...twice(Object.entries(webApps).map(([name, { host }]) => [at(at('webApps', name), 'host'), host])),
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

function twice(entries: readonly (readonly [string, unknown])[]): string[] {
  const owners = new Map<unknown, string>();
  return entries.flatMap(([place, value]) => {
    const other = owners.get(value);
    owners.set(value, place);
    return other === undefined
      ? []
      : [
          sentence({
            what: `${place} must be used once`,
            got: `${String(value)}, which ${other} has`,
            fix: 'change one of the two',
          }),
        ];
  });
}

/** Validates that a name is one of the existing names. */
function oneOf(what: string, name: string, names: readonly string[], fix = 'correct the name, or add it'): string[] {
  if (names.includes(name)) return [];
  return [sentence({ what, got: name, allowed: names.join(', ') || 'none exists', fix: suggested(name, names, fix) })];
}

function machineReferences(homelab: Homelab): string[] {
  const { llm, ingress, system, machines, webApps } = homelab;
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
    ...(ingress === undefined && Object.keys(webApps).length > 0
      ? [
          sentence({
            what: 'ingress must be set when there are web apps',
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

/** Validates that every pod of a database has one disk and every disk a pod: an unused disk is a typing error. */
function disks(homelab: Homelab): string[] {
  const places = new Map<string, string[]>();
  for (const [name, machine] of Object.entries(homelab.machines)) {
    for (const disk of Object.keys((machine.kind === 'talos' && machine.dataDisks) || {}))
      places.set(disk, [...(places.get(disk) ?? []), name]);
  }
  const wanted = Object.entries(homelab.databases).flatMap(([name, database]) =>
    databasePods(name, database).map((pod) => [pod, at('databases', name)] as const),
  );
  const pods = new Set(wanted.map(([pod]) => pod));
  return [
    ...wanted
      .filter(([pod]) => !places.has(pod))
      .map(([pod, place]) =>
        sentence({
          what: `${place} must have a data disk for each pod`,
          got: `no disk for ${pod}`,
          fix: `add dataDisks: { '${pod}': Size.gibibytes(100) } to the machine that should hold it`,
        }),
      ),
    ...[...places]
      .filter(([, machines]) => machines.length > 1)
      .map(([disk, machines]) =>
        sentence({
          what: `data disk ${disk} must be on one machine`,
          got: machines.join(' and '),
          fix: 'remove it from the others',
        }),
      ),
    ...[...places]
      .filter(([disk]) => !pods.has(disk))
      .map(([disk, machines]) =>
        sentence({
          what: `data disk ${disk} of ${machines.join()} must belong to a pod of a database`,
          got: disk,
          allowed: [...pods].join(', '),
          fix: 'correct the name, or remove the disk',
        }),
      ),
  ];
}

function databases({ databases: all, machines, preferredNodes }: Homelab): string[] {
  const problems = preferredNodes ? labelProblems('preferredNodes', preferredNodes, machines) : [];
  for (const [name, database] of Object.entries(all)) {
    const place = at('databases', name);
    problems.push(...labelProblems(`${place}.nodeLabel`, database.nodeLabel, machines));
    const { key, value } = database.nodeLabel;
    for (const pod of databasePods(name, database)) {
      const elsewhere = Object.entries(machines).find(
        ([, machine]) => machine.kind === 'talos' && machine.dataDisks?.[pod] && machine.labels?.[key] !== value,
      );
      if (elsewhere) {
        const what = `${place} must have its disks on nodes labelled ${key}=${value}`;
        problems.push(
          sentence({ what, got: `disk ${pod} on ${elsewhere[0]}`, fix: 'move the disk, or label that machine' }),
        );
      }
    }
    const sizes = new Map(databasePods(name, database).map((pod) => [diskSize(machines, pod), pod]));
    sizes.delete(undefined);
    if (sizes.size > 1) {
      const got = [...sizes].map(([size, pod]) => `${pod} ${size}`).join(', ');
      problems.push(
        sentence({ what: `${place} must have disks of one size`, got, fix: 'give all of its disks the same size' }),
      );
    }
    if (database.kind === 'mongodb') {
      const wrong = membersProblem(
        database.members,
        `${place}.members`,
        database.memberOptions,
        `${place}.memberOptions`,
      );
      if (wrong) problems.push(wrong);
    }
    if (database.kind === 'mongodb' && database.pods !== undefined) {
      const few = podsProblem(database.pods, database.members, `${place}.pods`);
      if (few) problems.push(few);
    }
    if (database.kind === 'cassandra' && database.membersPerRack !== undefined) {
      const many = membersPerRackProblem(
        database.membersPerRack,
        database.nodesPerRack ?? 1,
        `${place}.membersPerRack`,
      );
      if (many) problems.push(many);
    }
    if (database.kind === 'cassandra')
      problems.push(...twice(database.racks.map((rack, index) => [`${place}.racks[${index}]`, rack])));
  }
  // The cluster name keeps rings apart: otherwise a node that gets an old address of another ring would join that ring.
  const rings = Object.entries(all).flatMap(([name, database]) =>
    database.kind === 'cassandra'
      ? [[at(at('databases', name), 'clusterName'), database.clusterName] as [string, string]]
      : [],
  );
  problems.push(...twice(rings));
  return problems;
}

function diskSize(machines: Homelab['machines'], disk: string): string | undefined {
  const machine = Object.values(machines).find((each) => each.kind === 'talos' && each.dataDisks?.[disk]);
  return machine?.kind === 'talos' ? machine.dataDisks?.[disk]?.asString() : undefined;
}

function labelProblems(place: string, { key, value }: NodeLabel, machines: Homelab['machines']): string[] {
  if (Object.values(machines).some((machine) => machine.kind === 'talos' && machine.labels?.[key] === value)) return [];
  const fix = `add labels: { '${key}': '${value}' } to the machine that should run it`;
  return [sentence({ what: `${place} must be a label of a machine`, got: `${key}=${value}`, fix })];
}

/** Every service and web app, with its path in homelab.ts. */
function clients(homelab: Homelab): (readonly [place: string, name: string, client: Service])[] {
  return (['services', 'webApps'] as const).flatMap((group) =>
    Object.entries(homelab[group]).map(([name, client]) => [at(group, name), name, client] as const),
  );
}

function connections(homelab: Homelab): string[] {
  return clients(homelab).flatMap(([client, name, service]) => {
    const place = (index: number) => `${at(client, 'connects')}[${index}]`;
    const { connects } = service;
    return [
      ...connects.flatMap((connection, index) => targetProblems(homelab, name, connection, place(index))),
      ...twice(connects.map((connection, index) => [place(index), targetOf(connection).join(' ')])),
      ...variables(homelab, service, client),
    ];
  });
}

function targetProblems(homelab: Homelab, owner: string, connection: Connection, place: string): string[] {
  const [kind, name] = targetOf(connection);
  const known = (what: string, names: readonly string[]) =>
    oneOf(`${place}.${kind} must be ${what} of this homelab`, name, names);
  if (kind === 'service')
    return known(
      'another service',
      Object.keys(homelab.services).filter((each) => each !== owner),
    );
  if (kind === 'model') return modelTarget(homelab, owner, name, place);
  const ofKind = Object.entries(homelab.databases).filter(([, database]) => database.kind === kind);
  const active = ofKind.filter(([, { state }]) => state !== 'retired').map(([each]) => each);
  const what = kind === 'mongodb' ? 'an active MongoDB' : 'an active Cassandra';
  if (active.includes(name) || !ofKind.some(([each]) => each === name)) return known(what, active);
  return [
    sentence({
      what: `${place}.${kind} must be ${what} of this homelab`,
      got: `${name}, which is retired`,
      allowed: active.join(', ') || undefined,
      fix: `set ${at('databases', name)}.state to 'active', or remove the connection`,
    }),
  ];
}

/** A model that exists, and whose `usedBy` names the client or is left out. */
function modelTarget({ llm }: Homelab, owner: string, name: string, place: string): string[] {
  const models = llm?.models ?? {};
  const usable = Object.keys(models).filter((each) => mayUse(models[each]!, owner));
  if (!Object.hasOwn(models, name) || usable.includes(name))
    return oneOf(`${place}.model must be a model of this homelab`, name, Object.keys(models));
  return [
    sentence({
      what: `${place}.model must be a model whose usedBy names ${owner}`,
      got: name,
      allowed: usable.join(', ') || 'none is open to it',
      fix: `add '${owner}' to ${at('llm.models', name)}.usedBy, or remove the connection`,
    }),
  ];
}

/** Reports a variable that two connections set, or a connection and `env`. */
function variables({ llm }: Homelab, service: Service, client: string): string[] {
  const owners = new Map(Object.keys(service.env ?? {}).map((name) => [name, at(at(client, 'env'), name)]));
  return service.connects.flatMap((connection, index) => {
    const place = `${at(client, 'connects')}[${index}]`;
    const names = variablesOf(service, connection, llm);
    const taken = names.find((name) => owners.has(name));
    const other = taken && owners.get(taken);
    for (const name of names) owners.set(name, place);
    if (taken === undefined) return [];
    return [
      sentence({
        what: `${place} must set environment variables of its own`,
        got: `${taken}, which ${other} sets`,
        fix: `give one of the connections another envPrefix, as { ${targetOf(connection)[0]}: '${targetOf(connection)[1]}', ..., envPrefix: 'OTHER' }${other?.includes('.env') ? ', or rename the variable' : ''}`,
      }),
    ];
  });
}

/** The stand-in has its own port and paths, so these fields would be ignored without an image. */
function services(homelab: Homelab): string[] {
  return clients(homelab).flatMap(([place, , service]) =>
    (['port', 'health'] as const)
      .filter((field) => service.image === undefined && service[field] !== undefined)
      .map((field) =>
        sentence({
          what: `${at(place, field)} must be used with an image`,
          got: service[field],
          fix: 'set image too, or leave it out: the stand-in has its own',
        }),
      ),
  );
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
