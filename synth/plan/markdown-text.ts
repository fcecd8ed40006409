import { visible } from '../../values/problem';
import { ENTITIES } from './words';

/** An invisible character that keeps GitHub from making links. No value holds one, because visible() shows it by its number. */
const BREAK = '\u200b';

/**
 * A text as Markdown shows it, character by character: no value of an object may make a heading, a link, a tag, a comment,
 * a mention or the end of a table cell.
 * @param most bytes: a longer text is cut
 */
export function prose(text: string, most = 600): string {
  const line = quiet(visible(text.slice(0, most)).trim());
  // These characters begin a list, a heading or a rule only at the start of a line.
  const [, digits = ''] = /^(\d+)[.)]/.exec(line) ?? [];
  const begins = digits !== '' ? `${digits}\\` : /^[-+=]/.test(line) ? '\\' : '';
  const rest = within(line.slice(digits.length), most, text.length > most, (character) =>
    /[\\`*_[\]|~$#]/.test(character) ? `\\${character}` : (ENTITIES[character] ?? character),
  );
  return `${begins}${rest}`;
}

/** The same for the title of a block, which is HTML. */
export function title(text: string, most = 200): string {
  const line = quiet(visible(text.slice(0, most)));
  return within(line, most, text.length > most, (character) => ENTITIES[character] ?? character);
}

/** Breaks up what GitHub turns into links, mentions and pictures. */
function quiet(text: string): string {
  return text
    .replace(/@/g, `@${BREAK}`)
    .replace(/\b(https?|ftp):/gi, `$1${BREAK}:`)
    .replace(/\bwww\./gi, `www${BREAK}.`)
    .replace(/\bGH-(?=\d)/gi, `GH${BREAK}-`)
    .replace(/#(?=\d)/g, `#${BREAK}`)
    .replace(/:(?=[\w+-]+:)/g, `:${BREAK}`);
}

/** Escapes one character after another until the limit, so that no escape is cut in two. */
function within(text: string, most: number, isCut: boolean, escape: (character: string) => string): string {
  let size = 0;
  let kept = '';
  for (const character of text) {
    const next = escape(character);
    size += Buffer.byteLength(next);
    if (size > most) return `${kept}…`;
    kept += next;
  }
  return isCut ? `${kept}…` : kept;
}

/** A text as code on one line: Markdown interprets nothing in it. @param most bytes: a longer text is cut */
export function code(text: string, most = 300): string {
  const line = cutBytes(visible(text), most);
  if (line === '') return '';
  const fence = '`'.repeat(longestRun(line) + 1);
  const pad = line.startsWith('`') || line.endsWith('`') || /^ .* $/.test(line) ? ' ' : '';
  return `${fence}${pad}${line}${pad}${fence}`;
}

/** Lines as a code block, with a fence that no line can close. */
export function codeBlock(language: string, lines: readonly string[], indent = ''): string[] {
  const fence = '`'.repeat(Math.max(3, longestRun(lines.join('\n')) + 1));
  return [`${fence}${language}`, ...lines, fence].map((line) => `${indent}${line}`);
}

function longestRun(text: string): number {
  return Math.max(0, ...(text.match(/`+/g) ?? []).map(({ length }) => length));
}

/** Never cuts a character in two. */
export function cutBytes(text: string, most: number): string {
  if (text.length <= most && Buffer.byteLength(text) <= most) return text;
  let size = 3;
  let kept = '';
  for (const character of text) {
    size += Buffer.byteLength(character);
    if (size > most) break;
    kept += character;
  }
  return `${kept}…`;
}
