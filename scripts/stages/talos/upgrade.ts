import { linuxOf, MONGOD_STOPS, MONGOD_WAY_OUT, mongodStarts } from '../../../inventory';
import { talosctl } from '../../clients/talos';
import { nodesInOrder, type Context } from '../../clients/context';
import { Problem, Blocked } from '../../engine/problem';
import type { Step } from '../../engine/step';
import { sayOnce, until } from '../../engine/wait';
import { isReady } from '../../clients/kubernetes-nodes';
import { registeredNodes } from '../../clients/kubernetes-nodes';
import { kubernetesUpgrade } from './kubernetes';
import { maintenance } from './maintenance';
import { NOTE } from './maintenance-note';
import { configured } from '../../clients/talos';
import { checkTalosctl } from './secrets';
import { stepProblem } from '../../clients/talos-versions';

/** The control plane first, each node under maintenance; Kubernetes when all run the new Talos. */
export async function upgradeSteps(context: Context): Promise<readonly Step[]> {
  const wanted = context.homelab.versions.talos;
  const nodes = nodesInOrder(context);
  assertMongodStarts(context);
  await checkTalosctl(context);
  await talosctl(context, nodes[0]![1].address, []);
  const versions = new Map<string, string>();
  for (const [name, machine] of nodes) versions.set(name, (await configured(context, name, machine)).version);
  for (const [name, version] of versions) {
    const problem = stepProblem(`Talos of ${name}`, version, wanted);
    if (problem !== undefined) throw new Blocked(problem);
  }
  // The control plane may just start again, from an upgrade that was stopped half way.
  const known = await until('the Kubernetes API', { seconds: 300 }, sayOnce(), async () => {
    const found = await registeredNodes(context.kubernetes);
    if (found === undefined) throw new Problem('it does not answer');
    return found;
  });
  const nodeOf = (name: string) => known.find(({ metadata }) => metadata.name === name);
  const begun = (name: string) => nodeOf(name)?.metadata.annotations?.[NOTE] !== undefined;
  const sick = nodes.filter(([name]) => !begun(name) && !isReady(nodeOf(name))).map(([name]) => name);
  if (sick.length > 0)
    throw new Blocked(
      `every node must be ready before an upgrade, and ${sick.join(' and ')} is not; npm run bootstrap -- verify`,
    );
  return [
    ...nodes
      .filter(([name]) => versions.get(name) !== wanted || begun(name))
      .flatMap(([name, machine]) => maintenance(context, name, machine, 'upgrade')),
    kubernetesUpgrade(context),
  ];
}

/** @throws Stop before a node gets a kernel on which no member of a replica set would start again */
function assertMongodStarts({ homelab }: Context): void {
  const linux = linuxOf(homelab);
  const runs = Object.values(homelab.databases).some(({ kind, state }) => kind === 'mongodb' && state !== 'retired');
  if (!runs || linux === undefined || mongodStarts(linux) !== 'no') return;
  throw new Blocked(
    `Talos ${homelab.versions.talos} has Linux ${linux}, and ${MONGOD_STOPS}; ${MONGOD_WAY_OUT}, or retire every MongoDB first`,
  );
}
