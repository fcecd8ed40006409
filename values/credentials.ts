const SECRET_NAME =
  /(^|_)(PASS(WD|WORD|PHRASE)?|PWD|SECRET|TOKEN|CREDENTIALS?|(API|ACCESS|PRIVATE|SECRET|AUTH)_?KEY)$/i;
const KNOWN =
  /^(gh[pousr]_|github_pat_|glpat-|sk-|xox[abpr]-|AKIA|eyJ[\w-]+\.|AGE-SECRET-KEY-|-----BEGIN [A-Z ]*PRIVATE KEY)/;
const PASSWORD_IN_URL = /:\/\/[^/\s:@]+:[^/\s@]+@/;
const IN_URL = 'an address with a password in it';
/** Random bytes have about 3.5 bits a character in hex, and more in base64; written words have fewer. */
const RANDOM_BITS = 3.4;

/** Why a named value looks like a credential, or undefined. */
export function credentialIn(name: string, value: string): string | undefined {
  // A reference to a secret is not a secret.
  const text = value.replace(/\$\([^)]*\)/g, '');
  const known = KNOWN.test(text) ? 'the form of a known kind of key' : PASSWORD_IN_URL.test(text) ? IN_URL : undefined;
  if (known !== undefined) return known;
  if (SECRET_NAME.test(name) && !/^(\s*|true|false|\d{1,4}|\/.*|https?:\/\/.*)$/i.test(text)) return 'by its name';
  return isRandom(text) ? 'random characters' : undefined;
}

/** Why a text seems to hold a credential, or undefined. */
export function credentialInText(text: string): string | undefined {
  if (/-----BEGIN [A-Z ]*PRIVATE KEY/.test(text)) return 'the form of a known kind of key';
  if (PASSWORD_IN_URL.test(text)) return IN_URL;
  const named = /([\w-]+)["'`]?\s*[:=]\s*["'`]?([^\s"'`,;]{8,})/g;
  for (const [, name, value] of text.matchAll(named))
    // "password: something" is prose; a password that anybody uses has more than letters.
    if (SECRET_NAME.test(name!.replace(/-/g, '_')) && /[a-z]/i.test(value!) && /\d/.test(value!)) return 'by its name';
  for (const word of text.split(/[\s"'`,;:=()<>[\]{}]+/)) {
    if (KNOWN.test(word) && word.length >= 16) return 'the form of a known kind of key';
    if (isRandom(word)) return 'random characters';
  }
  return undefined;
}

function isRandom(text: string): boolean {
  const mixed = /^(?=.*\d)(?=.*[a-z])(?=.*[A-Z])[\w+/=-]{24,}$/.test(text) || /^[0-9a-f]{32,}$/i.test(text);
  return mixed && bitsPerCharacter(text) >= RANDOM_BITS;
}

/** Shannon's entropy. */
function bitsPerCharacter(text: string): number {
  const counts = [...new Set(text)].map((character) => text.split(character).length - 1);
  return counts.reduce((bits, count) => bits - (count / text.length) * Math.log2(count / text.length), 0);
}
