import { homelabApp } from '../../../charts';
import { podSpecOf } from '../../../constructs';
import { defineHomelab, NAMESPACES, type Connection } from '../../../inventory';
import { render } from '../../../synth';
import { changed } from '../../homelab';
import type { Tally } from '../tally';
import { passing, type Packet } from './policy-engine';

type Json = any;

interface TestPod {
  readonly name: string;
  readonly namespace: string;
  readonly address: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly ports: readonly number[];
}

const PUBLIC = '93.184.215.14';
const LEDGER = '192.168.1.40';
/** Addresses that a way to the internet must not reach: the house, the pods, Services, carriers, metadata, loopback, multicast. */
const NOT_THE_INTERNET = [
  ...['192.168.1.1', '192.168.1.20', '10.0.0.1', '10.244.0.1', '10.96.0.1', '172.16.0.1', '100.64.0.1'],
  ...['169.254.169.254', '127.0.0.1', '224.0.0.1', '255.255.255.255', '198.18.0.1'],
];

/**
 * Every pair of pods, asked of the engine that Talos enforces network policies with: a connection passes if homelab.ts declares
 * it, and no other does.
 */
export async function network(tally: Tally): Promise<void> {
  const homelab = defineHomelab(changed(waysOut));
  const objects: Json[] = render(homelabApp(homelab)).map(({ object }) => object);
  const pods = objects.flatMap((object, index) => podOf(object, index) ?? []);
  const clients = pods.filter(({ namespace }) => namespace === NAMESPACES.services || namespace === NAMESPACES.web);
  const declared = { ...homelab.services, ...homelab.webApps };
  const cases: { readonly packet: Packet; readonly expected: boolean; readonly what: string }[] = [];
  const ask = (from: TestPod, to: string, port: number, expected: boolean, what: string) =>
    cases.push({
      packet: { from: from.address, to, port, protocol: 'TCP' },
      expected,
      what: `${from.name} -> ${what}:${port}`,
    });

  for (const from of clients) {
    const connects: readonly Connection[] = declared[from.name]?.connects ?? [];
    const isTo = (to: TestPod) =>
      connects.some(
        (each) =>
          ('service' in each && to.namespace === NAMESPACES.services && each.service === to.name) ||
          ('mongodb' in each && each.mongodb === to.namespace && to.ports.includes(27017)) ||
          ('cassandra' in each && each.cassandra === to.namespace && to.ports.includes(9042)),
      );
    for (const to of pods) {
      if (to === from || !(from.name in declared)) continue;
      for (const port of [...to.ports, 9999]) {
        const isClientPort = to.namespace === NAMESPACES.services || port === 27017 || port === 9042;
        ask(from, to.address, port, isTo(to) && isClientPort && port !== 9999, `${to.namespace}/${to.name}`);
      }
    }
    if (!(from.name in declared)) continue;
    const reaches = (kind: 'internet' | 'address') => connects.some((each) => kind in each);
    ask(from, PUBLIC, 443, reaches('internet'), 'the internet');
    ask(from, PUBLIC, 25, false, 'the internet');
    for (const address of NOT_THE_INTERNET) ask(from, address, 443, false, address);
    ask(from, LEDGER, 5432, reaches('address'), 'an address');
    ask(from, LEDGER, 22, false, 'an address');
  }
  const verdicts = passing(
    {
      pods: pods.map(asObject),
      namespaces: [...objects.filter(({ kind }) => kind === 'Namespace'), { metadata: { name: 'kube-system' } }].map(
        labelled,
      ),
      policies: objects.filter(({ kind }) => kind === 'NetworkPolicy'),
    },
    cases.map(({ packet }) => packet),
  );
  const wrong = cases.flatMap(({ expected, what }, index) =>
    verdicts[index] === expected
      ? []
      : [`${what} ${expected ? 'is declared, and does not pass' : 'passes, and is not declared'}`],
  );
  const open = cases.filter(({ expected }) => expected).length;
  console.log(`${cases.length} connections of ${pods.length} pods, of which ${open} are declared`);
  tally.check(
    'every declared connection passes, and no other',
    wrong.length === 0 && open > 20,
    wrong.slice(0, 20).join('\n'),
  );
}

/** Ways out for two services, besides what the homelab of tests declares. */
function waysOut(homelab: Json): void {
  homelab.services.notifications.connects.push({ internet: [443], because: 'push notifications' });
  homelab.services.documents.connects.push({ address: LEDGER, port: 5432, as: 'ledger' });
}

function podOf(object: Json, index: number): TestPod | undefined {
  const spec = podSpecOf(object);
  if (spec === undefined) return undefined;
  const { name, namespace } = object.metadata;
  const template = object.spec.jobTemplate?.spec.template ?? object.spec.template;
  const containers = [...spec.containers, ...(spec.initContainers ?? [])];
  return {
    name,
    namespace,
    address: `10.244.${Math.floor(index / 250)}.${1 + (index % 250)}`,
    labels: template?.metadata?.labels ?? {},
    ports: containers.flatMap(({ ports = [] }: Json) => ports.map(({ containerPort }: Json) => containerPort)),
  };
}

function asObject({ name, namespace, address, labels, ports }: TestPod): Json {
  return {
    metadata: { name, namespace, labels },
    spec: { nodeName: 'node', containers: [{ name: 'all', ports: ports.map((containerPort) => ({ containerPort })) }] },
    status: { podIP: address, podIPs: [{ ip: address }] },
  };
}

/** The API server labels each namespace with its name. */
function labelled(namespace: Json): Json {
  const { name, labels } = namespace.metadata;
  return { ...namespace, metadata: { name, labels: { ...labels, 'kubernetes.io/metadata.name': name } } };
}
