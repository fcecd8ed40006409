import { linuxOf, MONGOD_STOPS, MONGOD_WAY_OUT, mongodStarts, type Homelab } from '../../../inventory';
import type { Context } from '../../clients/context';
import { Problem, Blocked } from '../../engine/problem';
import type { Step } from '../../engine/step';
import { sayOnce, until } from '../../engine/wait';
import { isReady, registeredNodes } from '../../clients/kubernetes-nodes';
import { kubernetesUpgrade } from './kubernetes';
import { maintenance } from './maintenance';
import { NOTE } from './maintenance-note';
import { stepProblem } from '../../clients/talos';

/** The control plane first, each node under maintenance; Kubernetes when all run the new Talos. */
export async function upgradeSteps(context: Context): Promise<readonly Step[]> {
  const wanted = context.homelab.versions.talos;
  const { nodes, controlPlane } = context.talos;
  assertMongodStarts(context.homelab);
  await context.talos.assertVersion();
  await controlPlane.argv([]);
  const versions = new Map<string, string>();
  for (const node of nodes) versions.set(node.name, await node.version());
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
  const sick = nodes.map(({ name }) => name).filter((name) => !begun(name) && !isReady(nodeOf(name)));
  if (sick.length > 0)
    throw new Blocked(
      `every node must be ready before an upgrade, and ${sick.join(' and ')} is not; npm run bootstrap -- verify`,
    );
  return [
    ...nodes
      .filter(({ name }) => versions.get(name) !== wanted || begun(name))
      .flatMap((node) => maintenance(context, node, 'upgrade')),
    kubernetesUpgrade(context),
  ];
}

/** @throws Blocked before a node gets a kernel on which no member of a replica set would start again */
function assertMongodStarts(homelab: Homelab): void {
  const linux = linuxOf(homelab);
  const runs = Object.values(homelab.databases).some(({ kind, state }) => kind === 'mongodb' && state !== 'retired');
  if (!runs || linux === undefined || mongodStarts(linux) !== 'no') return;
  throw new Blocked(
    `Talos ${homelab.versions.talos} has Linux ${linux}, and ${MONGOD_STOPS}; ${MONGOD_WAY_OUT}, or retire every MongoDB first`,
  );
}
