import { homelabApp } from '../charts';
import type { Rendering } from '../checks';
import { podSpecOf, type Json } from '../constructs';
import { ownCharts } from '../own-charts';
import { render } from '../synth';
import { imageProblem } from '../values/names';
import { sum } from '../values/quantity';
import { imageInRegistry, NoImage, PLATFORM, type ImageConfig, type RegistryImage } from './registry';
import { Usage } from './usage';

/** A container of the rendering, with the pod that it runs in. */
interface UsedBy {
  /** NAMESPACE/WORKLOAD. */
  readonly workload: string;
  readonly pod: Json;
  readonly container: Json;
}

/**
 * Asks the registries about every image of the rendering, or about one image. Prints its platforms, user and ports, and the settings
 * that a service needs to run it. Exit code 1 when an image is missing or has no build for the nodes.
 */
export async function images(args: readonly string[]): Promise<void> {
  const [image, ...more] = args;
  if (more.length > 0 || image?.startsWith('-')) throw new Usage('npm run homelab -- images [IMAGE]');
  const wrong = image === undefined ? undefined : imageProblem(image, 'the image');
  if (wrong !== undefined) throw new Usage(wrong);
  const { default: homelab } = await import('../homelab');
  const used = usedImages(render(homelabApp(homelab, { charts: ownCharts })));
  const wanted = image === undefined ? [...used.keys()].sort() : [image];
  const failures: number[] = [];
  for (const each of wanted) {
    const { lines, failed } = await report(each, used.get(each) ?? []);
    console.log(lines.join('\n'));
    failures.push(failed ? 1 : 0);
  }
  if (sum(failures) > 0) process.exitCode = 1;
}

/** Each image of a rendering, with the containers that run it. */
export function usedImages(rendering: Rendering): Map<string, UsedBy[]> {
  const found = new Map<string, UsedBy[]>();
  for (const { object } of rendering) {
    const pod = podSpecOf(object);
    const workload = `${object.metadata.namespace}/${object.metadata.name}`;
    for (const container of [...(pod?.initContainers ?? []), ...(pod?.containers ?? [])])
      found.set(container.image, [...(found.get(container.image) ?? []), { workload, pod: pod!, container }]);
  }
  return found;
}

async function report(
  image: string,
  usedBy: readonly UsedBy[],
): Promise<{ readonly lines: readonly string[]; readonly failed: boolean }> {
  const workloads = [...new Set(usedBy.map(({ workload }) => workload))].join(', ');
  const head = `${image}${workloads && ` (${workloads})`}`;
  let found: RegistryImage;
  try {
    found = await imageInRegistry(image);
  } catch (error) {
    if (!(error instanceof NoImage)) throw error;
    return { lines: [head, `  error    ${error.message}`], failed: true };
  }
  const { platforms, config } = found;
  if (config === undefined)
    return {
      lines: [
        head,
        `  error    it is built for ${platforms.join(', ')}, and the nodes are ${PLATFORM}: exec format error. Build it with:`,
        `             docker buildx build --platform ${PLATFORM} --push --tag ${image} .`,
      ],
      failed: true,
    };
  const advice = usedBy.length === 0 ? adviceFor(config, undefined) : usedBy.flatMap((each) => adviceFor(config, each));
  return {
    lines: [
      head,
      `  built for  ${platforms.join(', ')}`,
      `  user       ${config.user || 'root'}`,
      ...(config.ports.length > 0 ? [`  ports      ${config.ports.join(', ')}`] : []),
      ...(config.volumes.length > 0 ? [`  volumes    ${config.volumes.join(', ')}`] : []),
      `  runs       ${[...config.entrypoint, ...config.command].join(' ') || 'nothing by itself'}`,
      ...[...new Set(advice)].map((each) => `  - ${each}`),
    ],
    failed: false,
  };
}

/** What to set in homelab.ts for an image, given the container that runs it; undefined for an image that nothing runs yet. */
export function adviceFor(config: ImageConfig, usedBy: UsedBy | undefined): string[] {
  return [
    ...userAdvice(config, usedBy),
    ...portAdvice(config, usedBy),
    ...folderAdvice(config, usedBy),
    ...probeAdvice(config, usedBy),
  ];
}

function userAdvice({ user }: ImageConfig, usedBy: UsedBy | undefined): string[] {
  const number = /^\d+/.exec(user)?.[0];
  const runs = usedBy?.container.securityContext?.runAsUser ?? usedBy?.pod.securityContext?.runAsUser;
  const who = usedBy === undefined ? 'its pod' : usedBy.workload;
  if (number !== undefined && number !== '0')
    return String(runs) === number
      ? []
      : [`its user is ${number}: set user: ${number}, so that it can read the files that belong to it`];
  const isRoot = user === '' || user === 'root' || number === '0';
  return isRoot
    ? [
        `it runs as root by itself, ${who} runs it as ${runs ?? 10001}. If it ends with "permission denied": find an image for a plain user, or set user and scratch or volumes for the folders that it writes to`,
      ]
    : [
        `its user is ${user}, and Kubernetes needs a number. See it with: docker run --rm --entrypoint id IMAGE ${user}, then set user`,
      ];
}

function portAdvice({ ports }: ImageConfig, usedBy: UsedBy | undefined): string[] {
  const tcp = ports.filter((port) => !port.endsWith('/udp')).map((port) => Number(port.split('/')[0]));
  if (tcp.length === 0) return [];
  const own: readonly number[] = (usedBy?.container.ports ?? []).map(({ containerPort }: Json) => containerPort);
  if (own.some((port) => tcp.includes(port))) return [];
  if (usedBy !== undefined && own.length === 0) return [];
  const got = usedBy === undefined ? '' : `, and ${usedBy.workload} has ${own.join(', ')}`;
  return [`it listens on ${tcp.join(', ')}${got}: set port: ${tcp[0]}, or the variable by which it takes another`];
}

function folderAdvice({ volumes }: ImageConfig, usedBy: UsedBy | undefined): string[] {
  if (usedBy !== undefined && usedBy.container.securityContext?.readOnlyRootFilesystem !== true) return [];
  const mounts: readonly string[] = (usedBy?.container.volumeMounts ?? []).map(({ mountPath }: Json) => mountPath);
  return volumes
    .map((folder) => folder.replace(/\/$/, ''))
    .filter((folder) => !mounts.some((mount) => folder === mount || folder.startsWith(`${mount}/`)))
    .map((folder) => `it writes to ${folder}: add it to volumes to keep the files, or to scratch`);
}

function probeAdvice({ healthCheck }: ImageConfig, usedBy: UsedBy | undefined): string[] {
  const { readinessProbe, livenessProbe } = usedBy?.container ?? {};
  if (healthCheck === undefined || readinessProbe !== undefined || livenessProbe !== undefined) return [];
  return [
    `it has a health check, which Kubernetes ignores: probes: Probes.exec({ live: ${JSON.stringify(healthCheck)} })`,
  ];
}
