import {
  databasePods,
  MONGOD_STOPS,
  MONGOD_WAY_OUT,
  mongodStarts,
  neededDisks,
  nodes,
  workers,
  type Homelab,
  type NeededDisk,
  type TalosMachine,
} from '../../inventory';
import { daysLeft } from '../secrets/certificates';
import { bad, good, warning, type Check, type Finding } from '../engine/findings';
import { SECRETS, type Sops } from '../engine/sops';
import { manifests, type Context } from '../clients/context';
import { readKubeconfig } from '../clients/kubeconfig';
import type { Kubernetes } from '../clients/kubernetes';
import { certificateKeys } from '../secrets/declared';
import { compare, liveDeclared } from '../secrets/live';
import { NotReady, Blocked } from '../engine/problem';
import { ArgoCd, applicationProblem } from '../clients/argo-cd';
import { keptAuthority } from '../secrets/authority';
import { isUnderWay, missingKeys, SecretStore, undeclared, valuesOf } from '../secrets/store';
import type { TalosNode } from '../clients/talos';
import { readTalosconfig } from '../clients/talosconfig';
import { unreadyVolumes } from '../stages/talos/cluster';

/** Checks nodes, claims, applications, secrets and the end of certificates. */
export function clusterChecks({ homelab, kubernetes, sops, talos }: Context): Record<string, Check> {
  return {
    'nodes of the cluster': () => nodeFindings(homelab, kubernetes),
    'claims of data disks': () => claimFindings(homelab, kubernetes),
    ...Object.fromEntries(
      talos.nodes
        .filter(({ machine }) => Object.keys(machine.dataDisks ?? {}).length > 0)
        .map((node) => [`volumes of ${node.name}`, () => volumeFindings(node)]),
    ),
    'applications of Argo CD': () => applicationFindings(kubernetes),
    secrets: () => secretFindings(kubernetes, new SecretStore(sops)),
    certificates: () => certificateFindings(homelab, sops),
  };
}

async function nodeFindings(homelab: Homelab, kubernetes: Kubernetes): Promise<Finding[]> {
  const items = await kubernetes.list(['nodes']);
  return nodes(homelab).map(([name, { labels = {} }]) => {
    const what = `${name} is ready`;
    const node = items.find(({ metadata }: any) => metadata?.name === name);
    if (node === undefined) return bad(what, 'it is not a node of the cluster', 'npm run bootstrap -- apply talos');
    const wrong = Object.entries(labels).filter(([key, value]) => node.metadata.labels?.[key] !== value);
    if (wrong.length > 0) {
      const lacking = wrong.map(([key, value]) => `${key}=${value}`).join(', ');
      return bad(what, `it lacks ${lacking}`, 'npm run bootstrap -- apply talos');
    }
    const conditions: any[] = node.status?.conditions ?? [];
    const ready = conditions.find(({ type }) => type === 'Ready');
    if (ready?.status !== 'True')
      return bad(
        what,
        ready?.message ?? 'its kubelet reports nothing',
        `npm run bootstrap -- talosctl ${name} -- dmesg`,
      );
    if (node.spec?.unschedulable)
      return warning(what, 'nothing may start on it (cordoned)', `kubectl uncordon ${name}, after its maintenance`);
    const { kernelVersion = '' } = node.status.nodeInfo ?? {};
    if (holdsMongod(homelab, name) && mongodStarts(kernelVersion) === 'no')
      return bad(what, `it runs Linux ${kernelVersion}, and ${MONGOD_STOPS}`, MONGOD_WAY_OUT);
    const pressed = conditions.filter(({ type, status }) => type !== 'Ready' && status === 'True');
    if (pressed.length > 0)
      return bad(what, pressed.map(({ type }) => type).join(', '), `kubectl describe node ${name}`);
    return good(
      what,
      [node.status.nodeInfo?.kubeletVersion, ...Object.entries(labels).map((each) => each.join('='))].join(', '),
    );
  });
}

/** Whether members of a replica set run there. */
function holdsMongod({ databases, machines }: Homelab, node: string): boolean {
  const { dataDisks = {} } = machines[node] as TalosMachine;
  return Object.entries(databases).some(
    ([name, database]) =>
      database.kind === 'mongodb' &&
      database.state !== 'retired' &&
      databasePods(name, database).some((pod) => dataDisks[pod] !== undefined),
  );
}

/** A claim that is not bound keeps its pod from starting. */
async function claimFindings(homelab: Homelab, kubernetes: Kubernetes): Promise<Finding[]> {
  const items = await kubernetes.list(['pvc', '-A']);
  const disks = neededDisks(homelab);
  return [...new Set(disks.map(({ owner }) => owner))].map((owner) => {
    const wanted = disks.filter((each) => each.owner === owner);
    const phase = ({ namespace, claim }: NeededDisk) =>
      items.find(({ metadata }: any) => metadata?.namespace === namespace && metadata.name === claim)?.status?.phase;
    const loose = wanted.filter((each) => phase(each) !== 'Bound');
    const what = `claims of ${owner}`;
    if (loose.length === 0) return good(what, `${wanted.length} bound`);
    const saw = loose.map((each) => `${each.claim} is ${phase(each) ?? 'not there'}`).join(', ');
    return bad(what, saw, `npm run homelab -- rebind ${loose[0]!.disk}, if its claim was deleted and created again`);
  });
}

async function volumeFindings(node: TalosNode): Promise<Finding[]> {
  const what = `volumes of ${node.name}`;
  const wrong = await unreadyVolumes(node);
  if (wrong.length === 0) return [good(what, `${Object.keys(node.machine.dataDisks!).length} ready`)];
  return [bad(what, wrong.join(', '), `npm run bootstrap -- talosctl ${node.name} -- get volumestatus`)];
}

async function applicationFindings(kubernetes: Kubernetes): Promise<Finding[]> {
  const wanted = manifests('argocd')
    .map(({ object }) => object)
    .filter((object) => object?.kind === 'Application')
    .map(({ metadata }) => metadata.name as string);
  let found: ReadonlyMap<string, any>;
  try {
    found = await new ArgoCd(kubernetes).applications();
  } catch (error) {
    if (!(error instanceof NotReady)) throw error;
    return [bad('Argo CD', 'it is not installed', 'npm run bootstrap -- apply gitops')];
  }
  return wanted.map((name) => {
    const problem = applicationProblem(found.get(name));
    const what = `application ${name}`;
    if (problem === undefined)
      return good(what, `Synced, Healthy, ${found.get(name).status.sync.revision?.slice(0, 8)}`);
    return bad(what, problem, `kubectl -n argocd describe application ${name}`);
  });
}

const APPLY = 'npm run bootstrap -- apply secrets';

/** Differences between the encrypted file and the cluster, and leftover entries. Names only, no values. */
async function secretFindings(kubernetes: Kubernetes, store: SecretStore): Promise<Finding[]> {
  const { declared } = store;
  const kept = await store.read();
  const left = undeclared(declared, kept);
  const wrong: Finding[] = declared.flatMap((secret) =>
    missingKeys(secret, kept).map(({ namespace, keys }) =>
      bad(`secret ${namespace}/${secret.name}`, `${SECRETS.cluster} lacks ${keys.join(', ')}`, APPLY),
    ),
  );
  for (const { secret, namespace, live } of await liveDeclared(kubernetes, declared)) {
    const what = `secret ${namespace}/${secret.name}`;
    const values = valuesOf(secret, kept);
    try {
      const found = compare(secret, namespace, values, kept, live);
      if (found.is === 'missing')
        wrong.push(bad(what, `the cluster lacks ${live === undefined ? 'it' : found.keys.join(', ')}`, APPLY));
    } catch (error) {
      if (!(error instanceof Blocked)) throw error;
      const saw = `the cluster's is another than ${SECRETS.cluster} holds`;
      wrong.push(bad(what, saw, `${APPLY}, which says what to do`));
    }
  }
  const halfway = declared.filter((secret) => isUnderWay(secret, kept)).map(({ name }) => name);
  const unlisted = `dist/secrets.yaml no longer lists ${left.join(', ')}`;
  const found = [
    ...(left.length === 0 ? [] : [warning('secrets', unlisted, `sops ${SECRETS.cluster}, once nobody uses them`)]),
    ...wrong,
    ...halfway.map((name) =>
      warning(`secret ${name}`, 'some readers do not have its new value yet', `npm run bootstrap -- rotate ${name}`),
    ),
  ];
  return found.length > 0 ? found : [good('secrets', `${declared.length} kept, and the same in the cluster`)];
}

async function certificateFindings(homelab: Homelab, sops: Sops): Promise<Finding[]> {
  const store = new SecretStore(sops);
  const { secrets } = await store.read();
  const found: Finding[] = [];
  for (const secret of store.declared) {
    const pair = certificateKeys(secret);
    const certificate = pair && secrets[secret.namespaces[0]!]?.[secret.name]?.[pair.certificate];
    if (pair) found.push(ending(`certificate ${secret.name}`, certificate, 30, 'npm run bootstrap -- apply secrets'));
  }
  const authority = await keptAuthority(sops, homelab);
  if (found.length > 0)
    // Before the time that its last certificate would need.
    found.push(ending('own authority', authority?.certificate, 400, 'make another one: docs/bootstrap.md'));
  const client = (await readKubeconfig(sops))?.certificate;
  if (client !== undefined) found.push(ending('kubeconfig', client, 30, 'npm run bootstrap -- apply talos'));
  const talos = (await readTalosconfig(sops))?.certificate;
  if (talos !== undefined) found.push(ending('talosconfig', talos, 30, 'npm run bootstrap -- apply keys'));
  return found;
}

function ending(what: string, certificate: string | undefined, soon: number, fix: string): Finding {
  const days = certificate === undefined ? undefined : daysLeft(certificate);
  if (days === undefined) return bad(what, 'there is none that can be read', fix);
  const saw = days < 0 ? `it ended ${-days} days ago` : `${days} days left`;
  return days <= 0 ? bad(what, saw, fix) : days < soon ? warning(what, saw, fix) : good(what, saw);
}

/** Addresses of the ingress: every worker. */
export function entryAddresses(homelab: Homelab): string[] {
  return workers(homelab).map(([, { address }]) => address);
}

/** Running pods of a workload, oldest name first. */
export async function runningPods(kubernetes: Kubernetes, namespace: string, selector: string): Promise<string[]> {
  const found = await kubernetes.get(['pod', '-n', namespace, '-l', selector]);
  return (found?.items ?? [])
    .filter(({ status, metadata }: any) => status?.phase === 'Running' && metadata.deletionTimestamp === undefined)
    .map(({ metadata }: any) => metadata.name as string)
    .sort();
}
