import {
  databasePods,
  envPrefixOf,
  hostNames,
  NAMESPACES,
  servers,
  isOwn,
  targetOf,
  type Connection,
  type Homelab,
} from '../../inventory';
import { labelSelector } from '../../values/labels';
import { bad, good, warning, type Check, type Finding } from '../engine/findings';
import { CommandFailed, script, type Output } from '../engine/commands';
import { manifests, type Context } from '../clients/context';
import type { Kubernetes } from '../clients/kubernetes';
import { Problem } from '../engine/problem';
import { TRUST_ON_MAC } from '../secrets/authority';
import { enforcesPolicies } from '../clients/kubernetes-nodes';
import { entryAddresses, runningPods } from './cluster';
import { publishedChecks } from './published';
import { routeChecks } from './routes';

/** Enough for a name server and a handshake on one host; a packet that is dropped is waited for as long. */
const PROBE_SECONDS = 4;
/** Those that are denied are waited for: all of them would take minutes. */
const DENIALS = 12;

/** Checks connections: from outside over TLS, and inside only the declared ones. */
export function networkChecks({ homelab, commands, kubernetes }: Context): Record<string, Check> {
  return {
    ...(homelab.llm && { 'the models from inside': () => modelsFromInside(homelab, kubernetes) }),
    'routes from outside': () => routeChecks(homelab, commands),
    'published ports': () => publishedChecks(homelab, commands, kubernetes),
    'network policies': () => policies(homelab, kubernetes),
  };
}

/** A service that may ask the models asks; where none can, what the proof said that runs after each sync. */
async function modelsFromInside({ services, llm }: Homelab, kubernetes: Kubernetes): Promise<Finding[]> {
  const { service, port, gateway } = llm!;
  const what = `${service} answers inside the cluster`;
  const url = `http://${service}:${port}/api/version`;
  for (const [name, client] of Object.entries(services)) {
    const connection = client.connects.find((each) => targetOf(each)[0] === 'model');
    if (connection === undefined) continue;
    const [pod] = await runningPods(kubernetes, NAMESPACES.services, instance(name));
    if (pod === undefined) continue;
    const answer = await inPod(kubernetes, { namespace: NAMESPACES.services, pod }, 'pod/probe-http.sh', [
      ...[url, '10'],
      ...(gateway ? [`${envPrefixOf(client, connection)}_API_KEY`] : []),
    ]);
    if (answer.code === 0 && /"version"/.test(answer.stdout))
      return [good(what, `${answer.stdout.trim()}, from ${pod}`)];
    const saw = `${pod}: ${(answer.stderr || answer.stdout).trim()}`;
    if (!cannotTry(answer.code)) return [bad(what, saw, 'is the AI machine on? npm run bootstrap -- plan ai-vm')];
  }
  const job = await kubernetes.get(['job', `${service}-proof`, '-n', NAMESPACES.services]);
  if (job?.status?.succeeded > 0) return [good(what, `the proof after the last sync, ${job.status.completionTime}`)];
  const saw = job === undefined ? 'no pod can ask, and no proof has run' : 'the proof after the last sync failed';
  return [bad(what, saw, `kubectl -n services logs job/${service}-proof`)];
}

interface Client {
  readonly name: string;
  readonly namespace: string;
  readonly selector: string;
  readonly container?: string;
  readonly targets: ReadonlySet<string>;
}

interface Target {
  readonly name: string;
  readonly host: string;
  readonly port: number;
}

/** Probes some declared connections, which must work, and some others, which must not. */
async function policies(homelab: Homelab, kubernetes: Kubernetes): Promise<Finding[]> {
  const what = 'network policies';
  if ((await enforcesPolicies(kubernetes)) !== true) {
    const fix = 'npm run bootstrap -- apply talos';
    if (homelab.talos.enforceNetworkPolicies) return [bad(what, 'flannel does not enforce them', fix)];
    const saw = 'nothing enforces them, as talos.enforceNetworkPolicies in homelab.ts says';
    return [warning(what, saw, `make it true, npm run synth, then ${fix}`)];
  }
  const { allowed, denied } = probePairs(homelab);
  const found: Finding[] = [];
  const open = new Set<string>();
  const blind = new Set<string>();
  const failed = new Set<string>();
  const pods = new Map<string, string | undefined>();
  const probe = async (client: Client, target: Target): Promise<string | undefined> => {
    if (!pods.has(client.name))
      pods.set(client.name, (await runningPods(kubernetes, client.namespace, client.selector))[0]);
    const pod = pods.get(client.name);
    if (pod === undefined || failed.has(client.name)) return undefined;
    const args = [target.host, String(target.port), String(PROBE_SECONDS)];
    const where = { namespace: client.namespace, pod, container: client.container };
    const { code, stdout, stderr } = await inPod(kubernetes, where, 'pod/probe-connection.sh', args);
    const word = stdout.trim();
    if (cannotTry(code) || word === 'none') {
      blind.add(client.name);
      return undefined;
    }
    // Says nothing about the network policies: the API server does not reach the node, or the pod went away.
    if (code !== 0) {
      failed.add(client.name);
      const saw = stderr.trim() || `kubectl exec ended with ${code}`;
      found.push(
        bad(`${client.name} can be asked to probe`, saw, `kubectl -n ${client.namespace} get pod ${pod} -o wide`),
      );
      return undefined;
    }
    return word;
  };
  for (const [client, target] of allowed) {
    const saw = await probe(client, target);
    if (saw === 'open') open.add(target.name);
    if (saw !== undefined) found.push(judged(client, target, true, saw));
  }
  let tried = 0;
  for (const [client, target] of denied) {
    // Silence proves something only where someone else is heard.
    if (tried === DENIALS || !(open.has(target.name) || target === INTERNET)) continue;
    const saw = await probe(client, target);
    if (saw === undefined) continue;
    tried++;
    found.push(judged(client, target, false, saw));
  }
  const missing = [...pods].filter(([, pod]) => pod === undefined);
  const unseen = [
    ...[...blind].map((name) => `${name} has no shell to try from`),
    ...missing.map(([name]) => `${name} has no running pod`),
  ];
  if (unseen.length > 0)
    found.push(warning(`${what}, not probed`, unseen.join(', '), 'nothing: the others are probed'));
  const isProved = (kind: string) => found.some(({ what }) => what.includes(kind));
  if ((allowed.length > 0 && !isProved(MAY)) || (denied.length > 0 && !isProved(MAY_NOT)))
    found.push(bad(what, 'too little could be probed to say anything', 'kubectl get pods -A'));
  return found;
}

const MAY = ' reaches ';
const MAY_NOT = ' cannot reach ';

function judged({ name }: Client, target: Target, allowed: boolean, saw: string): Finding {
  const what = `${name}${allowed ? MAY : MAY_NOT}${target.name}`;
  // Refused means denied too: others do reach this target.
  const isRight = allowed ? saw === 'open' : saw === 'silent' || saw === 'refused';
  if (isRight) return good(what, saw);
  return bad(
    what,
    saw,
    allowed || saw !== 'open'
      ? 'kubectl get networkpolicy -A; is the target running?'
      : 'policies are not enforced: npm run bootstrap -- plan talos',
  );
}

/** Beyond everything that is declared; never asked for more than a handshake. */
const INTERNET: Target = { name: 'the internet', host: '1.1.1.1', port: 443 };

/** Who is asked to try what: a few of each kind, from the inventory alone. */
export function probePairs(homelab: Homelab): {
  readonly allowed: readonly (readonly [Client, Target])[];
  readonly denied: readonly (readonly [Client, Target])[];
} {
  const targets = targetsOf(homelab);
  const target = (name: string) => targets.find((each) => each.name === name)!;
  const isTarget = (name: string) => targets.some((each) => each.name === name);
  const clients = clientsOf(homelab);
  const allowed: (readonly [Client, Target])[] = [];
  const uses = (name: string) => allowed.filter(([, each]) => each.name === name).length;
  // Each client once, and then each target that nobody has tried yet.
  for (const client of clients) {
    const [rarest] = [...client.targets].filter(isTarget).sort((a, b) => uses(a) - uses(b));
    if (rarest !== undefined) allowed.push([client, target(rarest)]);
  }
  for (const { name } of targets) {
    const client = clients.find((each) => each.targets.has(name));
    if (client !== undefined && uses(name) === 0) allowed.push([client, target(name)]);
  }
  const denied = clients.flatMap((client, index) => {
    const closed = targets.filter(({ name }) => !client.targets.has(name) && name !== client.name);
    // Not the same one for all.
    const picked = closed.length === 0 ? [] : [closed[index % closed.length]!];
    return [...picked, ...(index % 4 === 0 ? [INTERNET] : [])].map((each) => [client, each] as const);
  });
  return { allowed, denied };
}

function targetsOf({ services, databases, llm }: Homelab): Target[] {
  // UDP has no handshake to try.
  const ports = new Map<string, number>(
    manifests()
      .filter(({ object }) => object?.kind === 'Service')
      .flatMap(({ object: { metadata, spec } }) => {
        const tcp = (spec.ports ?? []).find(({ protocol = 'TCP' }: any) => protocol === 'TCP');
        return tcp === undefined ? [] : [[`${metadata.namespace}/${metadata.name}`, tcp.port] as const];
      }),
  );
  const inCluster = (name: string, namespace: string, port: number, label = name): Target => ({
    name: label,
    host: `${name}.${namespace}.svc.cluster.local`,
    port,
  });
  return [
    ...Object.entries(databases)
      .filter(([, { state }]) => state !== 'retired')
      .map(([name, database]) =>
        database.kind === 'cassandra'
          ? inCluster(name, name, 9042)
          : inCluster(`${databasePods(name, database)[0]}.${name}`, name, 27017, name),
      ),
    ...(llm ? [inCluster(llm.service, NAMESPACES.services, llm.port)] : []),
    ...servers(services).flatMap(([name]) => {
      const port = ports.get(`${NAMESPACES.services}/${name}`);
      return port === undefined ? [] : [inCluster(name, NAMESPACES.services, port)];
    }),
  ];
}

function clientsOf({ services, webApps, databases, llm }: Homelab): Client[] {
  const names = (connects: readonly Connection[]) =>
    new Set(
      connects.flatMap((connection) => {
        const [kind, target] = targetOf(connection);
        const isElsewhere = 'service' in connection && isOwn(connection);
        if (kind === 'internet' || kind === 'address' || isElsewhere) return [];
        return kind === 'model' ? llm!.service : target;
      }),
    );
  const of =
    (namespace: string) =>
    ([name, { connects }]: [string, { readonly connects: readonly Connection[] }]): Client => ({
      name,
      namespace,
      selector: instance(name),
      targets: names(connects),
    });
  return [
    ...Object.entries(databases)
      .filter(([, { state }]) => state !== 'retired')
      .map(([name, { kind }]) => ({
        name,
        namespace: name,
        selector: labelSelector(kind, name),
        container: kind === 'cassandra' ? 'cassandra' : 'mongod',
        targets: new Set([name]),
      })),
    // A job has a pod only while it runs.
    ...Object.entries(services)
      .filter(([, { kind, state }]) => kind !== 'job' && state !== 'retired')
      .map(of(NAMESPACES.services)),
    ...Object.entries(webApps)
      .filter(([, { kind, state }]) => kind !== 'job' && state !== 'retired')
      .map(of(NAMESPACES.web)),
  ];
}

function instance(name: string): string {
  return labelSelector('microservice', name);
}

/** A shell script of scripts/remote/ in a container, by standard input. */
async function inPod(
  kubernetes: Kubernetes,
  where: Parameters<Kubernetes['exec']>[0],
  name: string,
  args: readonly string[],
): Promise<Output> {
  const { namespace, pod } = where;
  const options = { stdin: script(name), seconds: 30, waitsFor: `${pod} to try` };
  try {
    return await kubernetes.exec(where, ['sh', '-s', '--', ...args], options);
  } catch (error) {
    if (!(error instanceof CommandFailed)) throw error;
    if (
      /NotFound|not found in pod|container not found/.test(error.output.stderr) &&
      !/executable file/.test(error.output.stderr)
    )
      throw new Problem(`${namespace}/${pod} went away while it was asked`);
    return error.output.code < 0 ? Promise.reject(error) : noShell(error.output);
  }
}

function noShell(output: Output): Output {
  return /executable file not found|no such file or directory/i.test(output.stderr) ? { ...output, code: 127 } : output;
}

/** 3 is said by the scripts, 126 and 127 where there is no shell. */
function cannotTry(code: number): boolean {
  return code === 3 || code === 126 || code === 127;
}

/** Addresses for the owner, and how to trust the authority. */
export function addresses(homelab: Homelab): string {
  const hosts = hostNames(homelab);
  const kubectl = 'kubectl --kubeconfig .homelab/kubeconfig -n argocd';
  return [
    'Open:',
    ...hosts.map((host) => `  https://${host}`),
    ...(hosts.length > 0
      ? [
          `  These names must lead to ${entryAddresses(homelab).join(' or ')}: in your router's DNS, or in /etc/hosts.`,
          `  The Mac trusts them after: ${TRUST_ON_MAC}`,
        ]
      : []),
    'Argo CD:',
    `  ${kubectl} port-forward svc/argocd-server 8443:443`,
    '  https://localhost:8443 (its own certificate, so the browser warns), as admin, with the password that this prints:',
    `  ${kubectl} get secret argocd-initial-admin-secret -o jsonpath='{.data.password}' | base64 -d`,
  ].join('\n');
}
