import type { Duration } from 'cdk8s';
import { cassandraSettingsProblem, mongodSettingsProblem } from '../values/database-settings';
import { cassandraVersionProblem, compatibilityProblem, mongodbVersionProblem } from '../values/database-versions';
import { delayProblem } from '../values/members';
import { mongoRolesProblem } from '../values/mongo-roles';
import { dnsLabelProblem, dnsNameProblem, imageProblem, ipv4Network, ipv4Problem, portProblem } from '../values/names';
import { certificatesProblem } from '../values/certificates';
import { gitAddressProblem } from '../values/git-address';
import { nearest, suggested } from '../values/nearest';
import { domainProblem, registryProblem } from '../values/outside-names';
import { missing, sentence, visible } from '../values/problem';
import { cpuProblem, sizeProblem } from '../values/quantity';
import { repairIntervalProblem } from '../values/repair';
import { textProblem } from '../values/text';

/**
 * What values must look like, one rule each. Types say the same, but synth runs without a type check: a rule refuses at
 * run time what the compiler refuses in the editor, with the same meaning.
 */
export type Rule = (value: unknown, path: string, problems: string[]) => void;

/** A rule for each property of T: a property without a rule, or a rule without its property, does not compile. */
export type Shape<T> = { readonly [K in keyof Required<T>]: Rule };

/** A rule made from a judgement that returns a sentence or undefined. Foreign objects that stand for a quantity may fail when they are asked. */
function judged(judge: (value: unknown, path: string) => string | undefined): Rule {
  return (value, path, problems) => {
    let problem: string | undefined;
    try {
      problem = judge(value, path);
    } catch (error) {
      problem = sentence({
        what: `${path} must be what it says it is`,
        got: `an object that fails when it is read (${String((error as Error | undefined)?.message)})`,
        fix: 'write the value itself, as Size.gibibytes(22) or Duration.seconds(210)',
      });
    }
    if (problem !== undefined) problems.push(problem);
  };
}

export const size = judged((value, path) => sizeProblem(value, path));
/** A size that may be zero: nothing at all. */
export const sizeOrZero = judged((value, path) => sizeProblem(value, path, true));
export const cpu = judged(cpuProblem);
export const dnsLabel = judged((value, path) => dnsLabelProblem(value, path));
export const dnsName = judged(dnsNameProblem);
export const domain = judged(domainProblem);
export const registry = judged(registryProblem);
export const certificates = judged(certificatesProblem);
export const gitAddress = judged(gitAddressProblem);
export const address = judged(ipv4Problem);
export const port = judged(portProblem);
export const image = judged(imageProblem);
export const mongoRoles = judged(mongoRolesProblem);
export const delay = judged(delayProblem);
export const cassandraSettings = judged(cassandraSettingsProblem);
export const mongodSettings = judged(mongodSettingsProblem);
export const repairInterval = judged(repairIntervalProblem);
export const cassandraVersion = judged(cassandraVersionProblem);
export const mongodbVersion = judged(mongodbVersionProblem);
/** Whether its version knows it, is judged where that is known. */
export const compatibility = judged((value, path) => compatibilityProblem(value, undefined, path));

export const cidr = judged((value, path) =>
  ipv4Network(value)
    ? undefined
    : sentence({
        what: `${path} must be an IPv4 network`,
        got: value,
        allowed: 'A.B.C.D/N without host bits',
        fix: 'write it like 192.168.1.0/24',
      }),
);

/** One line of text, of at least one character. */
export const text = judged((value, path) =>
  typeof value === 'string' && value.length > 0 && value === visible(value)
    ? textProblem(value, path)
    : sentence({ what: `${path} must be text on one line`, got: value, fix: 'write it in quotes' }),
);

/** What a process can be given: several lines and no characters at all are fine. */
export const anyText = judged(textProblem);

export const flag = judged((value, path) =>
  typeof value === 'boolean'
    ? undefined
    : sentence({ what: `${path} must be true or false`, got: value, fix: 'write true or false without quotes' }),
);

/** A day of the calendar. Whether it lies ahead is not judged: that would depend on the clock. */
export const date = judged((value, path) => {
  const day =
    typeof value === 'string' && /^\d{4}-\d{2}-\d{2}$/.test(value) ? new Date(`${value}T00:00:00Z`) : undefined;
  if (day !== undefined && !Number.isNaN(day.getTime()) && day.toISOString().startsWith(value as string))
    return undefined;
  return sentence({
    what: `${path} must be a day`,
    got: value,
    allowed: 'YYYY-MM-DD',
    fix: 'write it like 2026-11-27',
  });
});

/** A span of time of at least a second, at most a day: longer ones are a wrong unit. */
function span(allowed: string, fits: (seconds: number) => boolean): Rule {
  return judged((value, path) => {
    const seconds =
      typeof (value as Partial<Duration> | null | undefined)?.toSeconds === 'function'
        ? (value as Duration).toSeconds({ integral: false })
        : NaN;
    if (Number.isFinite(seconds) && fits(seconds) && seconds >= 1 && seconds <= 86_400) return undefined;
    const got = Number.isFinite(seconds) ? `${seconds} s` : value;
    return sentence({
      what: `${path} must be a Duration of at least 1 s`,
      got,
      allowed: `${allowed}, at most a day`,
      fix: 'write Duration.seconds(210)',
    });
  });
}

export const duration = span('whole seconds', Number.isInteger);
/** One that is given to a program that knows fractions. */
export const fractionalDuration = span('fractions too', () => true);

/** Time between two backups. */
export const backupInterval = judged((value, path) => {
  const hours =
    typeof (value as Partial<Duration> | null | undefined)?.toHours === 'function'
      ? (value as Duration).toHours({ integral: false })
      : NaN;
  if (hours >= 1 && hours <= 168) return undefined;
  return sentence({
    what: `${path} must be a Duration from 1 hour to 7 days`,
    got: Number.isFinite(hours) ? `${hours} h` : value,
    fix: 'write Duration.hours(24)',
  });
});

export function whole(minimum: number, maximum: number): Rule {
  return judged((value, path) =>
    Number.isInteger(value) && (value as number) >= minimum && (value as number) <= maximum
      ? undefined
      : sentence({
          what: `${path} must be a whole number from ${minimum} to ${maximum}`,
          got: value,
          fix: 'change the number',
        }),
  );
}

/** Text of a form that the pattern gives; `example` shows it. */
export function matching(pattern: RegExp, what: string, example: string): Rule {
  return judged((value, path) =>
    typeof value === 'string' && pattern.test(value)
      ? undefined
      : sentence({ what: `${path} must be ${what}`, got: value, fix: `write it like ${example}` }),
  );
}

export function oneOf(...values: readonly string[]): Rule {
  return judged((value, path) =>
    values.includes(value as string)
      ? undefined
      : sentence({
          what: `${path} must be one of ${values.join(', ')}`,
          got: value,
          fix: suggested(value, values, 'choose one of them'),
        }),
  );
}

/** May be left out. */
export function optional(rule: Rule): Rule {
  return (value, path, problems) => {
    if (value !== undefined) rule(value, path, problems);
  };
}

/** An object with exactly these properties. */
export function shape<T>(rules: Shape<T>): Rule {
  return (value, path, problems) => {
    if (!isRecord(value)) {
      problems.push(
        sentence({
          what: `${path || 'the homelab'} must be an object`,
          got: value,
          allowed: Object.keys(rules).join(', '),
          fix: 'write it as { ... }',
        }),
      );
      return;
    }
    const unknown = Object.keys(value).filter((key) => !Object.hasOwn(rules, key));
    for (const key of unknown)
      problems.push(
        sentence({
          what: `${at(path, key)} must be something this file knows`,
          got: value[key],
          allowed: Object.keys(rules).join(', '),
          fix: suggested(key, Object.keys(rules), 'correct the name or remove it'),
        }),
      );
    for (const [key, rule] of Object.entries<Rule>(rules)) {
      const found: string[] = [];
      rule(Object.hasOwn(value, key) ? value[key] : undefined, at(path, key), found);
      const misspelt = value[key] === undefined ? nearest(key, unknown) : undefined;
      problems.push(
        ...found
          .map((problem) => (value[key] === undefined ? missing(problem) : problem))
          .map((problem) =>
            misspelt === undefined ? problem : `${problem}; is ${at(path, misspelt)} a misspelt ${key}?`,
          ),
      );
    }
  };
}

/** Objects by name: the rule for each, and one for the names. */
export function byName(name: Rule, rule: Rule): Rule {
  return (value, path, problems) => {
    if (!isRecord(value)) {
      problems.push(
        sentence({ what: `${path} must be an object by name`, got: value, fix: 'write it as { name: { ... } }' }),
      );
      return;
    }
    for (const [key, entry] of Object.entries(value)) {
      name(key, `the name ${at(path, key)}`, problems);
      rule(entry, at(path, key), problems);
    }
  };
}

/** Entries of a list, at most: more are a mistake, and would be as many sentences. */
const MAX_ENTRIES = 1000;

export function listOf(rule: Rule, minimum = 0): Rule {
  return (value, path, problems) => {
    if (!Array.isArray(value) || value.length < minimum || value.length > MAX_ENTRIES) {
      problems.push(
        sentence({
          what: `${path} must be a list of ${minimum ? `at least ${minimum} and ` : ''}at most ${MAX_ENTRIES}`,
          got: value,
          fix: 'write it as [ ... ]',
        }),
      );
      return;
    }
    value.forEach((entry, index) => rule(entry, `${path}[${index}]`, problems));
  };
}

type Fields = Readonly<Record<string, unknown>>;

/** One of several shapes, told apart by a function that picks the rule. `word` is what it looked at, and those that it knows. */
export function either(
  pick: (value: Fields) => Rule | undefined,
  allowed: string,
  word: (value: Fields) => { readonly got: unknown; readonly near: string | undefined },
): Rule {
  return (value, path, problems) => {
    const rule = isRecord(value) ? pick(value) : undefined;
    if (rule) return rule(value, path, problems);
    const { got, near } = isRecord(value) ? word(value) : { got: value, near: undefined };
    const fix = near === undefined ? 'choose one of them' : `did you mean ${near}? Otherwise choose one of them`;
    problems.push(sentence({ what: `${path} must be of a known kind`, got, allowed, fix }));
  };
}

/** One of several shapes, told apart by their `kind`. */
export function byKind(rules: Readonly<Record<string, Rule>>): Rule {
  const kinds = Object.keys(rules);
  return either(
    ({ kind }) => (typeof kind === 'string' && Object.hasOwn(rules, kind) ? rules[kind] : undefined),
    `kind: ${kinds.map((kind) => `'${kind}'`).join(' or ')}`,
    ({ kind }) => ({ got: kind, near: nearest(kind, kinds) }),
  );
}

export function at(path: string, key: string): string {
  if (/^[\w-]+$/.test(key)) return path === '' ? key : `${path}.${key}`;
  return `${path}[${JSON.stringify(visible(key.length > 100 ? `${key.slice(0, 97)}...` : key))}]`;
}

/** Written as `{ ... }`: an instance of a class is none. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const prototype = Object.getPrototypeOf(value);
  // Object.prototype of any realm has no prototype itself.
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}
