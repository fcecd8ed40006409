/**
 * Prints JSON-like data as YAML that every parser reads the same: YAML 1.1 and 1.2, in JavaScript, Python and Go.
 * A string has no quotes only if no parser could read it as another type; text of several lines is a block,
 * so that a script in a ConfigMap reads like a script in a diff. Keys keep their order.
 * @throws on what YAML cannot hold: NaN, functions, half a surrogate pair
 */
export function printYaml(value: unknown): string {
  return node(value, '', '').replace(/^[ \n]/, '');
}

/** The text of a node after `key:` or `-`: a space and a scalar, or a line break and a block one level deeper. */
function node(value: unknown, indent: string, path: string): string {
  if (typeof value === 'string') return ` ${text(value, indent, path)}\n`;
  if (value === null || value === undefined) return ' null\n';
  if (typeof value === 'boolean') return ` ${value}\n`;
  if (typeof value === 'number') return ` ${number(value, path)}\n`;
  if (Array.isArray(value)) return value.length === 0 ? ' []\n' : `\n${sequence(value, indent, path)}`;
  if (typeof value === 'object') return mapping(value as Record<string, unknown>, indent, path);
  throw new Error(`${path || 'the value'} cannot be written as YAML: it is a ${typeof value}`);
}

function mapping(value: Record<string, unknown>, indent: string, path: string): string {
  let out = '';
  for (const key of Object.keys(value)) {
    const entry = value[key];
    if (entry !== undefined)
      out += `${indent}${keyText(key, indent, path)}${node(entry, `${indent}  `, `${path}.${key}`)}`;
  }
  return out === '' ? ' {}\n' : `\n${out}`;
}

/** The first line of each entry follows the dash, the others are indented by two: like kubectl. */
function sequence(value: readonly unknown[], indent: string, path: string): string {
  let out = '';
  value.forEach((entry, index) => {
    const inner = node(entry, `${indent}  `, `${path}[${index}]`);
    out += `${indent}-${inner.startsWith('\n') ? ` ${inner.slice(indent.length + 3)}` : inner}`;
  });
  return out;
}

function number(value: number, path: string): string {
  if (!Number.isFinite(value)) throw new Error(`${path || 'the value'} cannot be written as YAML: it is ${value}`);
  const digits = Object.is(value, -0) ? '0' : String(value);
  // A float without a point is a string in YAML 1.1.
  return digits.includes('e') && !digits.includes('.') ? digits.replace('e', '.0e') : digits;
}

/** A letter first, then nothing that could end or change an unquoted scalar. */
const BARE = /^[A-Za-z/][A-Za-z0-9 _./@+,=()%-]*(?::[A-Za-z0-9_./@+-]+)*$/;
/** Words that some parser reads as true, false, null or a number. */
const RESERVED = /^(?:y|n|yes|no|on|off|true|false|null|nan|inf|infinity|e[-+]?\d+)$/i;

function isBare(value: string): boolean {
  return BARE.test(value) && !RESERVED.test(value) && !value.endsWith(' ') && value.length < 400;
}

function text(value: string, indent: string, path: string): string {
  if (isBare(value)) return value;
  if (value.includes('\n') && isBlock(value)) return block(value, indent);
  return quoted(value, path);
}

/** An implicit key ends within 1024 characters; a longer one needs its question mark. */
function keyText(key: string, indent: string, path: string): string {
  const printed = isBare(key) ? key : quoted(key, path);
  return printed.length > 1000 ? `? ${printed}\n${indent}:` : `${printed}:`;
}

/**
 * Whether a block shows the text as it is: printable characters and line feeds only, no line that ends in a space, no
 * first line that starts with one (it would set the indentation), not empty lines alone.
 */
function isBlock(value: string): boolean {
  return (
    /^[\x21-\x7e\xa1-\ud7ff\ue000-\ufefe\uff00-\ufffd]/.test(value) &&
    /^(?:[\x20-\x7e\n\xa1-\u1fff\u2030-\ud7ff\ue000-\ufefe\uff00-\ufffd])*$/.test(value) &&
    !/ (?:\n|$)/.test(value)
  );
}

function block(value: string, indent: string): string {
  const body = value.replace(/\n+$/, '');
  const breaks = value.length - body.length;
  const chomping = breaks === 0 ? '-' : breaks === 1 ? '' : '+';
  const lines = body.split('\n').map((line) => (line === '' ? '' : `${indent || '  '}${line}`));
  return `|${chomping}\n${lines.join('\n')}${'\n'.repeat(Math.max(0, breaks - 1))}`;
}

/** YAML takes the escapes of JSON. This also escapes what a parser may reject, fold or strip. */
const UNSAFE = /[\x7f-\xa0\u2028\u2029\ufeff\ufffe\uffff]/g;
const HALF_PAIR = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/;

function quoted(value: string, path: string): string {
  if (HALF_PAIR.test(value))
    throw new Error(
      `${path || 'the value'} cannot be written as YAML: it holds half a surrogate pair, which is not a character`,
    );
  return JSON.stringify(value).replace(
    UNSAFE,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
