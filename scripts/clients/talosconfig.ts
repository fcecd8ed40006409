import { stringify } from 'yaml';
import { Blocked } from '../engine/problem';
import { SECRETS, secretTree, type Sops } from '../engine/sops';

/** The login of talosctl in the encrypted file. */
export interface Talosconfig {
  /** The file for talosctl. */
  readonly text: string;
  /** Client certificate in PEM; undefined if the file has none. */
  readonly certificate: string | undefined;
}

/** Reads the encrypted login; undefined before stage keys has made it. */
export async function readTalosconfig(sops: Sops): Promise<Talosconfig | undefined> {
  const tree = (await sops.read(SECRETS.talosconfig)) as any;
  if (tree === undefined) return undefined;
  const crt: unknown = tree.contexts?.[tree.context]?.crt;
  return {
    text: stringify(tree, { lineWidth: 0 }),
    certificate: typeof crt === 'string' ? Buffer.from(crt, 'base64').toString() : undefined,
  };
}

/** Encrypts the login that talosctl printed. @throws Blocked if it has no login */
export async function keepTalosconfig(sops: Sops, text: string): Promise<void> {
  const made = secretTree(text, 'talosctl gen config') as any;
  const login = made.contexts?.[made.context];
  const texts = ['ca', 'crt', 'key'].map((part) => login?.[part]);
  if (texts.some((each) => typeof each !== 'string' || each === ''))
    throw new Blocked('talosctl gen config must answer with a talosconfig, but did not; nothing was kept');
  const [ca, crt, key] = texts;
  await sops.write(SECRETS.talosconfig, { context: 'homelab', contexts: { homelab: { ca, crt, key } } });
}
