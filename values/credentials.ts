/** Words that end the name of a credential. `KEY` alone is not one of them: a cache key or a public key is no secret. */
const SECRET_WORDS = /^(PASS|PASSWD|PASSWORD|PASSPHRASE|PWD|SECRET|TOKEN|CREDENTIALS?)$/;
const KEY_OF_SECRET =
  /^(API|ACCESS|PRIVATE|SECRET|AUTH|MASTER|ENCRYPTION|ENCRYPT|SIGNING|JWT|HMAC|SESSION|COOKIE|LICENSE|DEPLOY|ADMIN|SERVICE)$/;
/** Forms of keys that their issuers document, so that scanners find them. */
const KNOWN =
  /^(gh[pousr]_\w{20}|github_pat_|glpat-|sk-[\w-]{20}|[sr]k_live_|whsec_|xox[abpr]-|A(K|S)IA[A-Z0-9]{16}|AIza[\w-]{30}|SG\.[\w-]{16}|hf_[A-Za-z]{30}|npm_\w{30}|dckr_pat_|eyJ[\w-]+\.|AGE-SECRET-KEY-|-----BEGIN [A-Z ]*PRIVATE KEY)|^https:\/\/(hooks\.slack\.com\/services|discord(app)?\.com\/api\/webhooks)\/\w/;
const KNOWN_FORM = 'the form of a known kind of key';
const PRIVATE_KEY = /-----BEGIN [A-Z ]*PRIVATE KEY/;
const PASSWORD_IN_URL = /:\/\/[^/\s:@]*:[^/\s@]+@/;
const IN_URL = 'an address with a password in it';
/** Random bytes have about 3.5 bits a character in hex, and more in base64; written words have fewer. */
const RANDOM_BITS = 3.4;
/** Random letters and digits change their class after about half of all characters, written words after a fifth. */
const RANDOM_CHANGES = 0.3;

/** Why a named value looks like a credential, or undefined. */
export function credentialIn(name: string, value: string): string | undefined {
  // A reference to a secret is not a secret.
  const text = withoutReferences(value);
  if (KNOWN.test(text)) return KNOWN_FORM;
  if (PASSWORD_IN_URL.test(text)) return IN_URL;
  if (isSecretName(name) && !isNoSecret(text)) return 'by its name';
  return isRandom(text) && !isFingerprint(name) ? 'random characters' : undefined;
}

/** Why a text seems to hold a credential, or undefined. */
export function credentialInText(text: string): string | undefined {
  if (PRIVATE_KEY.test(text)) return KNOWN_FORM;
  if (PASSWORD_IN_URL.test(text)) return IN_URL;
  const named = /([\w-]+)["'`]?\s*[:=]\s*["'`]?([^\s"'`,;]{8,})/g;
  for (const [, name, value] of text.matchAll(named))
    // "password: something" is prose; a password that anybody uses has more than letters.
    if (isSecretName(name!) && /[a-z]/i.test(value!) && /\d/.test(value!)) return 'by its name';
  for (const word of text.split(/[\s"'`,;:=()<>[\]{}]+/)) {
    if (KNOWN.test(word) && word.length >= 16) return KNOWN_FORM;
    if (isRandom(word)) return 'random characters';
  }
  return undefined;
}

/** Programs: what stands after = there is mostly code. */
const PROGRAM = /\.(py|sh|bash|js|mjs|cjs|ts|rb|pl|lua|go|php|sql|cql|conf\.lua)$/;

/** Why a file of settings (YAML, JSON, INI, properties) or a program holds a credential, and in which line, or undefined. */
export function credentialInFile(
  file: string,
  text: string,
): { readonly line: number; readonly why: string } | undefined {
  const inLine = PROGRAM.test(file) ? inCode : inSetting;
  for (const [index, line] of text.split('\n').entries()) {
    const why = PRIVATE_KEY.test(line) ? KNOWN_FORM : inLine(line);
    if (why !== undefined) return { line: index + 1, why };
  }
  return undefined;
}

/** One line of a program: only a literal that is assigned whole. */
function inCode(line: string): string | undefined {
  const [, name, , literal] = /([\w-]+)["']?\s*[:=]\s*(["'])([^"'\s%{}\\]{6,})\2/.exec(line) ?? [];
  return name === undefined ? undefined : credentialIn(name, literal!);
}

/** One line of settings: the value alone, without code, paths and references to variables. */
function inSetting(line: string): string | undefined {
  if (/^\s*(#|\/\/|--|;|\*)/.test(line)) return undefined;
  const [, name, written = ''] = /^\s*(?:-\s+)?["']?([\w.-]+)["']?\s*[:=]\s*(.*?)[,;]?\s*$/.exec(line) ?? [];
  if (name === undefined) return PASSWORD_IN_URL.test(withoutReferences(line)) ? IN_URL : undefined;
  const value = written.replace(/^(["'])(.*)\1$/, '$2').replace(/\s+#.*$/, '');
  const isCode = /[({[|>]/.test(value) || /^[A-Za-z_]\w*(\.\w+)+$/.test(value);
  return isCode && !/^["']/.test(written) && !value.includes('://') ? undefined : credentialIn(name, value);
}

/** Why one of the arguments of a command holds a credential, or undefined: --password=VALUE, --password VALUE, or an address. */
export function credentialInArguments(args: readonly string[]): string | undefined {
  for (const [index, arg] of args.entries()) {
    const [, name, value] = /^-*([A-Za-z][\w.-]*)(?:=([^]*))?$/.exec(arg) ?? [];
    const next = args[index + 1];
    const given = value ?? (arg.startsWith('-') && next !== undefined && !next.startsWith('-') ? next : undefined);
    const why = name !== undefined && given !== undefined ? credentialIn(name, given) : credentialIn('', arg);
    if (why !== undefined) return why;
  }
  return undefined;
}

/** References to variables: of the kubelet, of shells, of templates. */
function withoutReferences(value: string): string {
  return value.replace(/\$\([^)]*\)|\$\{[^}]*\}|\{\{.*?\}\}|%\w+%|\$[A-Za-z_]\w*/g, '');
}

/** Whether a name is that of a secret: DB_PASSWORD, Jwt__Key, spring.mail.password, apiKey. */
function isSecretName(name: string): boolean {
  const words = name
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .toUpperCase()
    .split(/[^A-Z0-9]+/)
    .filter((word) => word !== '');
  const last = words.at(-1) ?? '';
  const before = words.at(-2) ?? '';
  if (last === 'KEY') return KEY_OF_SECRET.test(before);
  const isKey = /^(API|ACCESS|PRIVATE|SECRET|AUTH)KEY$/.test(last);
  return isKey || SECRET_WORDS.test(last) || (last === 'BASE' && before === 'KEY');
}

/** Values of a secret's name that say something about it: switches, numbers, paths, addresses, and the names of its file. */
function isNoSecret(text: string): boolean {
  return /^(\s*|true|false|yes|no|on|off|none|null|enabled|disabled|required|optional|\d{1,4}(ms|[smhd])?|\/.*|\.{1,2}\/.*|https?:\/\/.*|<.*>|\*+)$/i.test(
    text,
  );
}

/** Whether a name is that of a digest or commit, which are random and public. */
function isFingerprint(name: string): boolean {
  return /(COMMIT|SHA\d*|DIGEST|CHECKSUM|HASH|REVISION|ETAG|FINGERPRINT|UUID|GUID|_ID|VERSION)$/i.test(name);
}

function isRandom(text: string): boolean {
  const mixed = /^(?=.*\d)(?=.*[a-z])(?=.*[A-Z])[\w+/=-]{24,}$/.test(text) && changes(text) >= RANDOM_CHANGES;
  return (mixed || /^[0-9a-f]{32,}$/i.test(text)) && bitsPerCharacter(text) >= RANDOM_BITS;
}

/** How often the class of characters changes, without the capital letter that starts a word. */
function changes(text: string): number {
  const classes = [...text].map((character) =>
    /\d/.test(character) ? 'd' : /[a-z]/.test(character) ? 'l' : /[A-Z]/.test(character) ? 'u' : '',
  );
  const count = classes.filter((each, index) => {
    const previous = classes[index - 1];
    return index > 0 && each !== '' && previous !== '' && each !== previous && !(previous === 'u' && each === 'l');
  }).length;
  return count / text.length;
}

/** Shannon's entropy. */
function bitsPerCharacter(text: string): number {
  const counts = [...new Set(text)].map((character) => text.split(character).length - 1);
  return counts.reduce((bits, count) => bits - (count / text.length) * Math.log2(count / text.length), 0);
}
