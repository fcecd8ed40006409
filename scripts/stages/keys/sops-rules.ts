import { isMap, isSeq, parseDocument, stringify, type Document } from 'yaml';
import { Blocked } from '../../engine/problem';

/** What .sops.yaml says of the files that the bootstrap writes. */
export interface Coverage {
  /** Files that no rule is for. */
  readonly uncovered: readonly string[];
  /** A file that is encrypted for keys of which none is ours. */
  readonly foreign?: { readonly path: string; readonly keys: readonly string[] };
  /** Ours among the keys. */
  readonly keys: readonly string[];
}

/** The first rule that fits a path is the one that counts, as for sops. */
export function coverageOf(text: string | undefined, paths: readonly string[], own: readonly string[]): Coverage {
  const rules = text === undefined ? [] : (parsed(text).toJS()?.creation_rules ?? []);
  const uncovered: string[] = [];
  const used = new Set<string>();
  let foreign: Coverage['foreign'];
  for (const path of paths) {
    const rule = rules.find(({ path_regex: pattern }: any) => pattern === undefined || expression(pattern).test(path));
    if (rule === undefined) uncovered.push(path);
    else {
      const keys = ageKeys(rule);
      const mine = own.filter((key) => keys.includes(key));
      if (mine.length === 0) foreign ??= { path, keys };
      for (const key of mine) used.add(key);
    }
  }
  return { uncovered, keys: own.filter((key) => used.has(key)), ...(foreign && { foreign }) };
}

/** .sops.yaml with a rule for *.sops.yaml after those that are there. */
export function addRule(text: string | undefined, key: string): string {
  const rule = { path_regex: '\\.sops\\.yaml$', age: key };
  if (text === undefined || text.trim() === '')
    return `# For whom sops encrypts. Several keys are joined by commas; after a change: sops updatekeys FILE\n${stringify({ creation_rules: [rule] })}`;
  const document = parsed(text);
  const rules = document.get('creation_rules');
  if (isSeq(rules)) rules.add(document.createNode(rule));
  else document.set('creation_rules', [rule]);
  return document.toString({ lineWidth: 0 });
}

function ageKeys(rule: any): string[] {
  const list = (value: unknown): string[] => {
    if (typeof value === 'string') return value.split(',').map((key) => key.trim());
    return Array.isArray(value) ? value.flatMap(list) : [];
  };
  return [...list(rule.age), ...(rule.key_groups ?? []).flatMap((group: any) => list(group?.age))].filter(
    (key) => key !== '',
  );
}

function expression(pattern: unknown): RegExp {
  try {
    return new RegExp(String(pattern));
  } catch {
    throw new Blocked(`.sops.yaml must hold patterns for paths, but holds ${JSON.stringify(pattern)}`);
  }
}

function parsed(text: string): Document {
  const document = parseDocument(text);
  const rules = document.toJS()?.creation_rules;
  const good =
    document.errors.length === 0 &&
    (document.contents === null || isMap(document.contents)) &&
    (rules == null || (Array.isArray(rules) && rules.every((rule) => typeof rule === 'object' && rule !== null)));
  if (!good)
    throw new Blocked(
      '.sops.yaml must hold creation_rules in YAML, but does not; correct it, or bring it back from Git',
    );
  return document;
}
