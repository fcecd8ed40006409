import { sentence } from './problem';
import { textProblem } from './text';

/** Largest sum of what a ConfigMap or a Secret holds (Kubernetes' MaxSecretSize), in bytes. */
const MAX_DATA = 1024 ** 2;

/** What is wrong with a key of a ConfigMap or a Secret, as a sentence, or undefined. A mounted key is the name of a file. */
export function dataKeyProblem(key: string, what: string): string | undefined {
  // Two dots first are the kubelet's own files in the volume.
  if (/^[-._a-zA-Z0-9]{1,253}$/.test(key) && key !== '.' && !key.startsWith('..')) return undefined;
  return sentence({
    what: `${what} must be the name of a file in a ConfigMap or Secret`,
    got: key,
    allowed: '1 to 253 letters, digits, -, _ and ., not . and not two dots first',
    fix: 'choose another name; a folder is another mount',
  });
}

/** What is wrong with files of a ConfigMap, as a sentence, or undefined. */
export function filesProblem(files: unknown, what: string): string | undefined {
  if (typeof files !== 'object' || files === null || Array.isArray(files))
    return sentence({ what: `${what} must be files by name`, got: files, fix: "write it as { 'app.yaml': '...' }" });
  for (const [name, text] of Object.entries(files)) {
    const problem =
      dataKeyProblem(name, `the name of a file in ${what}`) ?? textProblem(text, `${what}[${JSON.stringify(name)}]`);
    if (problem !== undefined) return problem;
  }
  const size = Object.values(files).reduce((sum: number, text) => sum + Buffer.byteLength(text as string), 0);
  if (size <= MAX_DATA) return undefined;
  return sentence({
    what: `${what} must hold at most 1 MiB`,
    got: `${size} bytes`,
    allowed: `${MAX_DATA} bytes, all files together`,
    fix: 'put large files into the image or onto a volume',
  });
}

/** Folders whose content an image and its container cannot do without: a mount would hide it. */
const HIDES = [
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
/** Below these the kernel has its own files, and no container runtime mounts there. */
const OF_THE_KERNEL = ['/proc', '/sys', '/dev'];

/** What is wrong with paths at which volumes are mounted together, as a sentence, or undefined. */
export function mountPathsProblem(paths: readonly string[], what: string): string | undefined {
  const problem = (got: unknown, fix: string) =>
    sentence({ what: `${what} must be an absolute path of its own`, got, fix });
  for (const [index, path] of paths.entries()) {
    if (typeof path !== 'string' || !/^\/[^\0:]*$/.test(path) || path.split('/').includes('..'))
      return problem(path, 'write it like /etc/config, without : and ..');
    const plain = normal(path);
    if (HIDES.includes(plain) || OF_THE_KERNEL.some((folder) => isWithin(plain, folder)))
      return problem(path, 'choose a folder below: a mount hides what the image has there');
    const other = paths.slice(0, index).find((each) => isWithin(plain, normal(each)) || isWithin(normal(each), plain));
    if (other !== undefined)
      return problem(
        `${path}, which ${normal(other) === plain ? 'is' : 'is inside, or around,'} ${other}`,
        'choose another folder: no mount may be inside another',
      );
  }
  return undefined;
}

function normal(path: string): string {
  return `/${path
    .split('/')
    .filter((part) => part !== '' && part !== '.')
    .join('/')}`;
}

function isWithin(path: string, folder: string): boolean {
  return path === folder || path.startsWith(`${folder}/`);
}
