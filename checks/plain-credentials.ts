import type { Check, Finding } from './finding';

/** Values of environment variables that look like credentials: dist/ is in Git, and the history of Git keeps them. */
export const plainCredentials: Check = {
  name: 'plain credentials',
  find: ({ rendering }) =>
    rendering.flatMap(({ construct, object }) => {
      const pod = object.spec?.template?.spec ?? object.spec?.jobTemplate?.spec?.template?.spec;
      const containers = [...(pod?.initContainers ?? []), ...(pod?.containers ?? [])];
      return containers.flatMap(({ env = [] }) => env.flatMap((variable: Variable) => judged(construct, variable)));
    }),
};

interface Variable {
  readonly name: string;
  readonly value?: string;
}

function judged(construct: string, { name, value }: Variable): Finding[] {
  const why = value === undefined ? undefined : reason(name, value);
  if (why === undefined) return [];
  // Never prints the value: a log may keep it.
  const message = `${construct}: environment variable ${name} looks like a credential (${why}), and would be in Git as plain text; declare a secret (DeclaredSecret) and use a key of it, or change the password if it was ever committed`;
  return [{ severity: 'warning', message }];
}

const SECRET_NAME =
  /(^|_)(PASS(WD|WORD|PHRASE)?|PWD|SECRET|TOKEN|CREDENTIALS?|(API|ACCESS|PRIVATE|SECRET|AUTH)_?KEY)$/i;
const KNOWN =
  /^(gh[pousr]_|github_pat_|glpat-|sk-|xox[abpr]-|AKIA|eyJ[\w-]+\.|AGE-SECRET-KEY-|-----BEGIN [A-Z ]*PRIVATE KEY)/;
/** Random bytes have about 3.5 bits a character in hex, and more in base64; written words have fewer. */
const RANDOM_BITS = 3.4;

function reason(name: string, value: string): string | undefined {
  // A reference to a secret is not a secret.
  const text = value.replace(/\$\([^)]*\)/g, '');
  if (KNOWN.test(text)) return 'the form of a known kind of key';
  if (/:\/\/[^/\s:@]+:[^/\s@]+@/.test(text)) return 'an address with a password in it';
  if (SECRET_NAME.test(name) && !/^(\s*|true|false|\d{1,4}|\/.*|https?:\/\/.*)$/i.test(text)) return 'by its name';
  const mixed = /^(?=.*\d)(?=.*[a-z])(?=.*[A-Z])[\w+/=-]{24,}$/.test(text) || /^[0-9a-f]{32,}$/i.test(text);
  return mixed && bitsPerCharacter(text) >= RANDOM_BITS ? 'random characters' : undefined;
}

/** Shannon's entropy. */
function bitsPerCharacter(text: string): number {
  const counts = [...new Set(text)].map((character) => text.split(character).length - 1);
  return counts.reduce((bits, count) => bits - (count / text.length) * Math.log2(count / text.length), 0);
}
