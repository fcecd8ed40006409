import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { KubeConfig } from '@kubernetes/client-node';
import { homelabApp } from '../../../charts';
import owners from '../../../homelab';
import type { Homelab } from '../../../inventory';
import { synthesize } from '../../../synth';
import { published } from '../../../synth/publish';
import homelab from '../../fixtures/homelab';
import { Laps, writeProofs } from '../proofs';
import { Tally } from '../tally';
import { sameFiles } from '../workspace';
import { isBuilt, KUBERNETES_VERSIONS } from './binaries';
import { changesRoll, drain } from './changes';
import { Client } from './client';
import { ControlPlane } from './control-plane';
import { cronJobsRun } from './cron-jobs';
import { applyDefinitions, applyNodes, applySecrets, manifestsOf, secretsOf } from './deploy';
import { ownChartsRun, podSecurityAgrees } from './own-charts';
import * as points from './points';
import { servicesAccepted } from './services';
import { disksOfServices, withServiceVolumes } from './service-volumes';
import { rebind } from './volumes';
import { waysAccepted } from './ways';

/**
 * What we render, on a real API server with a real scheduler and real controllers. By default the version that the homelab of
 * tests pins, and the start of the same on the oldest where it is built; with --full everything on both, and the figures go into
 * docs/proofs.md. The examples must be accepted too, and homelab.ts where it renders something else. With --kubeconfig FILE
 * what needs no fake kubelets, on a cluster of your own that must be empty (--force takes it as it is).
 */
const args = process.argv.slice(2);
const full = args.includes('--full');
const kubeconfig = args.includes('--kubeconfig') ? args[args.indexOf('--kubeconfig') + 1] : undefined;
const tally = new Tally();
const laps = new Laps();
const lap = (what: string) => laps.lap(what);
/** The folder with what the homelab of tests renders. */
let rendered: string;

/** Examples that the sample of `gitops` deploys; here they need a control plane each. */
const FULL_ONLY = ['rocket-chat', 'forgejo'];

/** Other homelabs that must be accepted too, by name. */
async function others(): Promise<[string, Homelab][]> {
  const names = fs
    .readdirSync('examples')
    .filter((name) => fs.existsSync(join('examples', name, 'homelab.ts')) && (full || !FULL_ONLY.includes(name)));
  if (!full) console.log(`this sample leaves out ${FULL_ONLY.map((name) => `examples/${name}`).join(', ')}: --full`);
  const examples = names.map(async (name): Promise<[string, Homelab]> => [
    `examples/${name}`,
    (await import(resolve('examples', name, 'homelab'))).default,
  ]);
  const volumes: [string, Homelab] = ['volumes of services', withServiceVolumes()];
  return [
    volumes,
    ...(await Promise.all(examples)),
    ...(isShipped() ? [] : ([['homelab.ts', owners]] as [string, Homelab][])),
  ];
}

/** Whether homelab.ts renders what the homelab of tests does, as long as nobody has edited it. */
function isShipped(): boolean {
  return sameFiles(published('dist'), published(rendered));
}

/** A homelab's files as synth would write them, in a folder that the caller removes. */
async function written(lab: Homelab): Promise<string> {
  const folder = fs.mkdtempSync(join(tmpdir(), 'rendered-'));
  await synthesize(async () => ({ app: homelabApp(lab), homelab: lab, checks: [] }), { outdir: folder });
  return folder;
}

/** Points 1 and 2, for any homelab: namespaces first, then the secrets that its list names, then everything. */
async function settle(client: Client, lab: Homelab, folder: string): Promise<points.Ground> {
  const manifests = manifestsOf(folder);
  const ground = { client, tally, homelab: lab, manifests };
  const namespaces = manifests.filter(({ object }) => object.kind === 'Namespace');
  await points.accepted({ ...ground, manifests: namespaces });
  await applySecrets(client, secretsOf(folder));
  await points.accepted(ground);
  return ground;
}

async function onOwnControlPlane(version: string, everything: boolean): Promise<void> {
  const plane = await ControlPlane.start(version);
  try {
    const { client } = plane;
    await applyDefinitions(client);
    await applyNodes(client, homelab);
    lap(`Kubernetes ${version} runs`);
    const ground = await settle(client, homelab, rendered);
    lap(`${ground.manifests.length} files accepted, in wave order`);
    await points.idempotent(ground);
    lap('a second apply changed nothing');
    await points.placed(ground);
    lap('every pod runs on its node, every claim has its own volume');
    for (const line of await points.load(ground)) console.log(`  ${line}`);
    await points.reachable(ground);
    await points.rights(ground, points.RIGHTS);
    lap('names, selectors, ports and permissions are correct');
    await waysAccepted(client, tally, version);
    lap('the API server agrees with our rules for variables and networks');
    await servicesAccepted(client, tally);
    lap('the API server accepts every kind of service, and judges schedules as we do');
    if (!everything) return;
    await points.roomToRoll(ground);
    lap('all workloads rolled at once within their quotas');
    await changesRoll(ground);
    lap('each change restarted the expected pods only');
    await rebind(ground, plane);
    lap('a recreated claim got its disk back');
    await drain(ground);
    lap('the node of the services was drained');
  } finally {
    await plane.stop();
  }
}

/** A new, empty control plane meets the disks that were there before: each claim gets its own again. */
async function withOldDisks(version: string): Promise<void> {
  const plane = await ControlPlane.start(version);
  try {
    await applyDefinitions(plane.client);
    await applyNodes(plane.client, homelab);
    const ground = await settle(plane.client, homelab, rendered);
    await points.allRunning(plane.client);
    await points.claimsBound(ground);
    lap('a new control plane bound every claim to the volume of its own replica');
    await podSecurityAgrees(ground);
    lap('the API server judges pods as the check of Pod Security does');
    await ownChartsRun(ground);
    lap('charts of an owner run: a Redis, a chart of Helm, a definition and its object');
  } finally {
    await plane.stop();
  }
}

async function othersAccepted(version: string): Promise<void> {
  for (const [name, lab] of await others()) {
    const plane = await ControlPlane.start(version);
    const folder = await written(lab);
    try {
      await applyDefinitions(plane.client);
      await applyNodes(plane.client, lab);
      const ground = await settle(plane.client, lab, folder);
      await points.idempotent(ground);
      await points.placed(ground);
      await points.reachable(ground);
      await cronJobsRun(ground);
      if (name === 'volumes of services') await disksOfServices(ground);
      lap(`${name}: ${ground.manifests.length} files accepted, every pod runs`);
    } finally {
      fs.rmSync(folder, { recursive: true });
      await plane.stop();
    }
  }
}

async function onForeignCluster(file: string): Promise<void> {
  const config = new KubeConfig();
  config.loadFromFile(file);
  const client = new Client(config);
  const own = /^(default|kube-.*|local-path-storage)$/;
  const foreign = (await client.list('v1', 'Namespace'))
    .map(({ metadata }) => metadata.name)
    .filter((name) => !own.test(name));
  if (foreign.length > 0 && !args.includes('--force'))
    throw new Error(
      `the cluster of ${file} must be empty, got the namespaces ${foreign.join(', ')}; name another cluster, or say --force to apply everything to this one`,
    );
  await applyDefinitions(client);
  const ground = await settle(client, homelab, rendered);
  await points.idempotent(ground);
  await points.rights(ground, points.RIGHTS);
  lap('accepted, a second apply changed nothing, rights; what needs the nodes of the homelab was not made here');
}

async function main(): Promise<void> {
  rendered = await written(homelab);
  if (kubeconfig !== undefined) return onForeignCluster(kubeconfig);
  const pinned = homelab.versions.kubernetes;
  const oldest = KUBERNETES_VERSIONS[0]!;
  await onOwnControlPlane(pinned, true);
  await withOldDisks(pinned);
  await othersAccepted(pinned);
  if (full || isBuilt(oldest)) await onOwnControlPlane(oldest, full);
  else
    console.log(
      `Kubernetes ${oldest} is not built, and this sample does not build it: npm run test:real -- cluster --full`,
    );
}

main()
  .catch((error: Error) => tally.check('the suite runs to its end', false, error.message))
  .finally(() => {
    if (rendered) fs.rmSync(rendered, { recursive: true });
    tally.close();
    if (full && tally.good) writeProofs('cluster', [...laps.lines, tally.line()]);
  });
