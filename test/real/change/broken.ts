import { conditions } from '../../../checks/step/api-server/conditional-defaults';
import type { ServerRules } from '../../../checks/step/api-server/rules';
import { transitionOf, transitions } from '../../../checks/step/api-server/transitions';
import { kindRules } from '../../../checks/step/api-server/rules';
import type { Base } from './bases';
import { copy } from './mutations';
import { disagreement, type Asked } from './pairs';

/** Defaults of 1.31 that no valid object shows: a claim without them is refused. */
const NEVER_LEFT_OUT: ReadonlySet<string> = new Set([
  'PersistentVolumeClaim.metadata',
  'PersistentVolumeClaim.spec',
  'PersistentVolumeClaimSpec.resources',
]);

/** Zeros that are taken out by code as well: carried.ts keeps the port of a Service that says 0. */
const BY_CODE: ReadonlySet<string> = new Set(['ServicePort.nodePort']);

/** One rule made wrong. */
interface Broken {
  readonly what: string;
  /** Type of which it says something; pairs of kinds that have none of it are not tried. */
  readonly type: string;
  readonly rules: ServerRules;
  /** Breaks what is code. @returns what mends it */
  readonly break?: () => () => void;
}

/**
 * Makes each rule wrong, one at a time, and judges again the pairs for which the server's answer is known.
 * @returns how many there are, and those that no pair shows to be wrong
 */
export function uncaught(rules: ServerRules, asked: readonly Asked[]): { all: number; left: string[] } {
  const reach = new Reach(rules);
  const broken = [...brokenData(rules), ...brokenCode(rules)];
  const left = broken.filter((each) => {
    const mend = each.break?.();
    try {
      return !asked.some(({ base }, index) => reach.has(base, each.type) && isWrong(each.rules, asked[index]!));
    } finally {
      mend?.();
    }
  });
  return { all: broken.length, left: left.map(({ what }) => what) };
}

/** A rule that is so wrong that the judge fails is caught as well. */
function isWrong(rules: ServerRules, asked: Asked): boolean {
  try {
    return disagreement(rules, asked) !== undefined;
  } catch {
    return true;
  }
}

function brokenData(rules: ServerRules): Broken[] {
  const all: Broken[] = [];
  const without = (what: string, type: string, change: (rules: any) => void) => {
    const wrong = copy(rules);
    change(wrong);
    all.push({ what, type, rules: wrong });
  };
  for (const [name, { type, immutable, whileSuspended = [] }] of Object.entries(rules.kinds)) {
    for (const path of immutable)
      without(
        `${name} ${path} may change`,
        type,
        ({ kinds }) => (kinds[name].immutable = immutable.filter((each) => each !== path)),
      );
    for (const path of whileSuspended)
      without(
        `${name} ${path} does not change while suspended`,
        type,
        ({ kinds }) => (kinds[name].whileSuspended = whileSuspended.filter((each) => each !== path)),
      );
  }
  for (const [type, fields] of Object.entries(rules.defaults))
    for (const field of Object.keys(fields).filter((each) => !NEVER_LEFT_OUT.has(`${type}.${each}`)))
      without(`${type}.${field} has no default`, type, ({ defaults }) => Reflect.deleteProperty(defaults[type], field));
  for (const table of ['zeros', 'ignored'] as const)
    for (const [type, fields] of Object.entries(rules[table]))
      // What is dropped altogether is dropped whether it is zero or not.
      for (const field of fields.filter(
        (each) => table === 'ignored' || !(rules.ignored[type]?.includes(each) || BY_CODE.has(`${type}.${each}`)),
      ))
        without(
          `${type}.${field} is kept (${table})`,
          type,
          (wrong) => (wrong[table][type] = fields.filter((each) => each !== field)),
        );
  return all;
}

/** What depends on other fields, and on the state that is left: each function gives way to one that does nothing. */
function brokenCode(rules: ServerRules): Broken[] {
  const off = (table: any, key: string, instead: unknown) => () => {
    const right = table[key];
    table[key] = instead;
    return () => (table[key] = right);
  };
  return [
    ...Object.keys(conditions).map((type) => ({
      what: `${type} fills in nothing by condition`,
      type,
      rules,
      break: off(conditions, type, undefined),
    })),
    ...Object.keys(transitions)
      .filter((kind) => transitionOf(rules, kind) !== undefined)
      .map((kind) => ({
        what: `${kind} has no transitions of its own`,
        type: rules.kinds[kind]!.type,
        rules,
        break: off(transitions, kind, undefined),
      })),
  ];
}

/** Which types are in which kinds. */
class Reach {
  private readonly types = new Map<string, ReadonlySet<string>>();

  constructor(private readonly rules: ServerRules) {}

  has({ object }: Base, type: string): boolean {
    const root = kindRules(this.rules, object)!.type;
    const known = this.types.get(root) ?? this.below(root, new Set());
    this.types.set(root, known);
    // A type whose fields are all single values has no shapes, and is not found by them.
    return known.has(type) || !(type in this.rules.types);
  }

  private below(type: string, found: Set<string>): Set<string> {
    if (found.has(type)) return found;
    found.add(type);
    for (const text of Object.values(this.rules.types[type] ?? {}))
      for (const inner of text.replace(/ by [\w,]+/, '').match(/[\w.]+/g) ?? []) this.below(inner, found);
    return found;
  }
}
