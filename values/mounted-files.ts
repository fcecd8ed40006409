import { createHash } from 'node:crypto';
import { mountPathsProblem } from './files';
import { sentence } from './problem';
import { textProblem, UNWRITABLE } from './text';

/** Files of a pod by absolute path: text, or bytes, such as what readFileSync gives. */
export type MountedFiles = Readonly<Record<string, string | Uint8Array>>;

/** Largest sum of what a ConfigMap or a Secret holds (Kubernetes' MaxSecretSize), in bytes. */
const MAX_DATA = 1024 ** 2;

/** What is wrong with the path of a file that is mounted alone, as a sentence, or undefined. */
export function filePathProblem(path: unknown, what: string): string | undefined {
  const problem = (fix: string) =>
    sentence({ what: `${what} must be the absolute path of a file`, got: path, allowed: 'without //, . and ..', fix });
  if (typeof path !== 'string' || !path.startsWith('/')) return problem('write it like /etc/app/config.yaml');
  if (path.endsWith('/')) return problem('name the file: a folder cannot be mounted from text');
  if (
    path
      .split('/')
      .slice(1)
      .some((part) => ['', '.', '..'].includes(part))
  )
    return problem('write the path without //, . and ..');
  // eslint-disable-next-line no-control-regex
  if (/[\x00-\x1f\x7f]/.test(path)) return problem('remove the control character');
  if (path.length > 1024) return problem('shorten it to 1024 characters');
  return mountPathsProblem([path], what);
}

/** What is wrong with files of a pod, as a sentence, or undefined. */
export function mountedFilesProblem(files: unknown, what: string): string | undefined {
  if (typeof files !== 'object' || files === null || Array.isArray(files))
    return sentence({
      what: `${what} must be an object of files by path`,
      got: files,
      fix: "write it as { '/etc/app/config.yaml': '...' }",
    });
  for (const [path, content] of Object.entries(files)) {
    const place = `${what}[${JSON.stringify(path)}]`;
    const problem = filePathProblem(path, place) ?? contentProblem(content, place);
    if (problem !== undefined) return problem;
  }
  const nested = mountPathsProblem(Object.keys(files), what);
  if (nested !== undefined) return nested;
  const size = Object.values(files as MountedFiles).reduce((sum, content) => sum + bytesOf(content).length, 0);
  if (size <= MAX_DATA) return undefined;
  return sentence({
    what: `${what} must hold at most 1 MiB`,
    got: `${size} bytes`,
    allowed: `${MAX_DATA} bytes, all files together`,
    fix: 'put large files into the image or onto a volume',
  });
}

function contentProblem(content: unknown, what: string): string | undefined {
  if (isBytes(content)) return undefined;
  // Characters that no YAML holds are stored as bytes.
  if (typeof content === 'string') return textProblem(content.replace(new RegExp(UNWRITABLE, 'g'), ''), what);
  return sentence({
    what: `${what} must be text or bytes`,
    got: content,
    allowed: 'a string, or a Uint8Array such as a Buffer',
    fix: "write the content in quotes, or read it: fs.readFileSync('config.yaml')",
  });
}

/** Also a Uint8Array of another realm, as in a test that runs in its own. */
export function isBytes(content: unknown): content is Uint8Array {
  return Object.prototype.toString.call(content) === '[object Uint8Array]';
}

function bytesOf(content: string | Uint8Array): Buffer {
  return typeof content === 'string' ? Buffer.from(content) : Buffer.from(content);
}

/** Files as a ConfigMap holds them: text as text, so that a review shows what changes; other bytes as base64. */
export function configMapData(files: MountedFiles): {
  readonly data?: Record<string, string>;
  readonly binaryData?: Record<string, string>;
} {
  const data: Record<string, string> = {};
  const binaryData: Record<string, string> = {};
  for (const [path, content] of Object.entries(files)) {
    const text = textIn(content);
    if (text === undefined) binaryData[fileKey(path)] = bytesOf(content).toString('base64');
    else data[fileKey(path)] = text;
  }
  const some = (part: Record<string, string>) => (Object.keys(part).length > 0 ? part : undefined);
  return { data: some(data), binaryData: some(binaryData) };
}

/** The text of a file; undefined where its bytes are not UTF-8, or hold characters that only a binary file has. */
function textIn(content: string | Uint8Array): string | undefined {
  if (typeof content === 'string') return UNWRITABLE.test(content) ? undefined : content;
  const bytes = bytesOf(content);
  const text = bytes.toString('utf8');
  // eslint-disable-next-line no-control-regex
  return /[\x00-\x08\x0b\x0c\x0e-\x1f]/.test(text) || UNWRITABLE.test(text) || !Buffer.from(text).equals(bytes)
    ? undefined
    : text;
}

/**
 * Key of a file in a ConfigMap: the path with _ for /. A path that could lead to the same key as another one (with _, a leading
 * dot, or a character that no key may have), or that every object has (constructor), gets a hash of the path too, after __, which no other key has.
 */
export function fileKey(path: string): string {
  const name = path.slice(1);
  if (/^[A-Za-z0-9-][A-Za-z0-9./-]{0,251}$/.test(name) && !(name in Object.prototype)) return name.replace(/\//g, '_');
  const readable = name
    .replace(/\//g, '_')
    .replace(/[^A-Za-z0-9._-]/g, '-')
    .replace(/^\.+/, '');
  return `${readable.slice(-200)}__${createHash('sha256').update(path).digest('hex').slice(0, 10)}`;
}
