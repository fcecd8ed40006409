import { sentence } from './problem';

/** What is wrong with a key of a ConfigMap or a Secret, as a sentence, or undefined. A mounted key is the name of a file. */
export function dataKeyProblem(key: string, what: string): string | undefined {
  // The kubelet keeps its own files in the volume under names that start with two dots.
  if (/^[-._a-zA-Z0-9]{1,253}$/.test(key) && key !== '.' && !key.startsWith('..')) return undefined;
  return sentence({
    what: `${what} must be the name of a file in a ConfigMap or Secret`,
    got: key,
    allowed: '1 to 253 letters, digits, -, _ and .; not . alone, and not starting with ..',
    fix: 'choose another name; use another mount for a folder',
  });
}

/** Folders that an image and its container need: a mount would hide their content. */
const NEEDED_BY_IMAGE = [
  '/',
  '/bin',
  '/boot',
  '/dev',
  '/etc',
  '/home',
  '/lib',
  '/lib64',
  '/opt',
  '/proc',
  '/root',
  '/run',
  '/sbin',
  '/srv',
  '/sys',
  '/usr',
  '/var',
];
/** File systems of the kernel. A container runtime refuses mounts below them. */
const OF_THE_KERNEL = ['/proc', '/sys', '/dev'];

/** The one path below them at which a volume may be mounted: memory that processes share. */
export const SHARED_MEMORY = '/dev/shm';

/** The kubelet and the runtime write these files of each container. */
const OF_THE_KUBELET = ['/etc/hosts', '/etc/hostname', '/etc/resolv.conf'];

/** What is wrong with paths at which volumes are mounted together, as a sentence, or undefined. */
export function mountPathsProblem(paths: readonly string[], what: string): string | undefined {
  const problem = (got: unknown, fix: string) =>
    sentence({ what: `${what} must be an absolute path that overlaps no other mount`, got, fix });
  for (const [index, path] of paths.entries()) {
    if (typeof path !== 'string' || !/^\/[^\0:]*$/.test(path) || path.split('/').includes('..'))
      return problem(path, 'write it like /etc/config, without : and ..');
    const plain = normal(path);
    if (
      NEEDED_BY_IMAGE.includes(plain) ||
      (plain !== SHARED_MEMORY && OF_THE_KERNEL.some((folder) => isWithin(plain, folder)))
    )
      return problem(path, 'choose a subfolder: a mount would hide the files of the image');
    if (OF_THE_KUBELET.some((file) => isWithin(plain, file)))
      return problem(path, 'choose another path: the kubelet writes this file');
    const other = paths.slice(0, index).find((each) => isWithin(plain, normal(each)) || isWithin(normal(each), plain));
    if (other !== undefined)
      return problem(
        `${path}, which ${normal(other) === plain ? 'is' : 'is inside or contains'} ${other}`,
        'choose another folder: mounts must not be nested',
      );
  }
  return undefined;
}

/** A path without doubled, trailing and single-dot parts. */
export function normal(path: string): string {
  return `/${path
    .split('/')
    .filter((part) => part !== '' && part !== '.')
    .join('/')}`;
}

function isWithin(path: string, folder: string): boolean {
  return path === folder || path.startsWith(`${folder}/`);
}
