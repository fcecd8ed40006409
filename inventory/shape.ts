import type { Duration } from 'cdk8s';
import { cassandraSettingsProblem, mongodSettingsProblem } from '../values/database-settings';
import { cassandraVersionProblem, compatibilityProblem, mongodbVersionProblem } from '../values/database-versions';
import { delayProblem } from '../values/members';
import { mongoRolesProblem } from '../values/mongo-roles';
import { dnsLabelProblem, dnsNameProblem, imageProblem, ipv4Network, ipv4Problem, portProblem } from '../values/names';
import { certificatesProblem } from '../values/certificates';
import type { Fields as Validators, Validator } from '../values/fields';
import { gitAddressProblem } from '../values/git-address';
import { nearest, suggested } from '../values/nearest';
import { domainProblem, registryProblem } from '../values/outside-names';
import { missing, sentence, visible } from '../values/problem';
import { cpuProblem, sizeProblem } from '../values/quantity';
import { repairIntervalProblem } from '../values/repair';
import { stringProblem } from '../values/processes';
import { textProblem } from '../values/text';

/**
 * One rule for the form of each value. The types state the same, but synth runs without a type check: a rule rejects at run
 * time what the compiler rejects in the editor.
 */
export type Rule = (value: unknown, path: string, problems: string[]) => void;

/** A rule for each property of T: a property without a rule, or a rule without its property, does not compile. */
export type Shape<T> = { readonly [K in keyof Required<T>]: Rule };

/** Makes a rule from a function that returns a problem as a sentence, or undefined. It may throw on a foreign object. */
export function by(validate: (value: unknown, path: string) => string | undefined): Rule {
  return (value, path, problems) => {
    let problem: string | undefined;
    try {
      problem = validate(value, path);
    } catch (error) {
      problem = sentence({
        what: `${path} must be a valid object of its class`,
        got: `an object that throws when it is read (${String((error as Error | undefined)?.message)})`,
        fix: 'write the value itself, as Size.gibibytes(22) or Duration.seconds(210)',
      });
    }
    if (problem !== undefined) problems.push(problem);
  };
}

export const size = by((value, path) => sizeProblem(value, path));
/** A size that may be zero. */
export const sizeOrZero = by((value, path) => sizeProblem(value, path, true));
export const cpu = by(cpuProblem);
export const dnsLabel = by((value, path) => dnsLabelProblem(value, path));
export const dnsName = by(dnsNameProblem);
export const domain = by(domainProblem);
export const registry = by(registryProblem);
export const certificates = by(certificatesProblem);
export const gitAddress = by(gitAddressProblem);
export const address = by(ipv4Problem);
export const port = by(portProblem);
export const image = by(imageProblem);
export const mongoRoles = by(mongoRolesProblem);
export const delay = by(delayProblem);
export const cassandraSettings = by(cassandraSettingsProblem);
export const mongodSettings = by(mongodSettingsProblem);
export const repairInterval = by(repairIntervalProblem);
export const cassandraVersion = by(cassandraVersionProblem);
export const mongodbVersion = by(mongodbVersionProblem);
/** The form only: the construct also checks that the version of MongoDB supports it. */
export const compatibility = by((value, path) => compatibilityProblem(value, undefined, path));

export const cidr = by((value, path) =>
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
export const text = by((value, path) =>
  typeof value === 'string' && value.length > 0 && value === visible(value)
    ? textProblem(value, path)
    : sentence({ what: `${path} must be text on one line`, got: value, fix: 'write it in quotes' }),
);

/** Text that a process can receive: may have several lines, and may be empty. */
export const anyText = by(textProblem);

/** The value of an environment variable. */
export const variableText = by(stringProblem);

export const flag = by((value, path) =>
  typeof value === 'boolean'
    ? undefined
    : sentence({ what: `${path} must be true or false`, got: value, fix: 'write true or false without quotes' }),
);

/** A calendar day. May lie in the future, because a check against today would depend on the clock. */
export const date = by((value, path) => {
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

/** A duration from a second to a day: a longer one is probably in a wrong unit. */
function span(allowed: string, fits: (seconds: number) => boolean): Rule {
  return by((value, path) => {
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
/** A duration for a program that supports fractions of a second. */
export const fractionalDuration = span('fractions too', () => true);

/** Minutes of an hour, so that a cron schedule can say it. */
export const checkInterval = by((value, path) => {
  const minutes =
    typeof (value as Partial<Duration> | null | undefined)?.toMinutes === 'function'
      ? (value as Duration).toMinutes({ integral: false })
      : NaN;
  if (minutes >= 5 && Number.isInteger(60 / minutes)) return undefined;
  return sentence({
    what: `${path} must be a Duration that divides an hour`,
    got: Number.isFinite(minutes) ? `${minutes} min` : value,
    allowed: '5, 6, 10, 12, 15, 20, 30 or 60 minutes',
    fix: 'write Duration.minutes(15)',
  });
});

/** Time between two backups. */
export const backupInterval = by((value, path) => {
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
  return by((value, path) =>
    Number.isInteger(value) && (value as number) >= minimum && (value as number) <= maximum
      ? undefined
      : sentence({
          what: `${path} must be a whole number from ${minimum} to ${maximum}`,
          got: value,
          fix: 'change the number',
        }),
  );
}

/** A number, fractions too. */
export function number(minimum: number, maximum: number): Rule {
  return by((value, path) =>
    typeof value === 'number' && value >= minimum && value <= maximum
      ? undefined
      : sentence({
          what: `${path} must be a number from ${minimum} to ${maximum}`,
          got: value,
          fix: 'change the number',
        }),
  );
}

/** Exactly one value; another choice is to leave it out. */
export function only(allowed: boolean | string): Rule {
  return by((value, path) =>
    value === allowed
      ? undefined
      : sentence({ what: `${path} must be ${allowed}`, got: value, fix: `write ${allowed}, or remove it` }),
  );
}

/** Text that matches a pattern; `example` shows a match. */
export function matching(pattern: RegExp, what: string, example: string): Rule {
  return by((value, path) =>
    typeof value === 'string' && pattern.test(value)
      ? undefined
      : sentence({ what: `${path} must be ${what}`, got: value, fix: `write it like ${example}` }),
  );
}

export function oneOf(...values: readonly string[]): Rule {
  return by((value, path) =>
    values.includes(value as string)
      ? undefined
      : sentence({
          what: `${path} must be one of ${values.join(', ')}`,
          got: value,
          fix: suggested(value, values, 'choose one of them'),
        }),
  );
}

/** A value that may be left out. */
export function optional(rule: Rule): Rule {
  return (value, path, problems) => {
    if (value !== undefined) rule(value, path, problems);
  };
}

/** The rules of optional fields that values/ validates. */
export function fields<T>(validators: Validators<T>): Shape<T> {
  const rules = Object.entries<Validator>(validators).map(([field, validate]) => [field, optional(by(validate))]);
  return Object.fromEntries(rules) as Shape<T>;
}

/** A value that another rule of the same object validates. */
export const checkedElsewhere: Rule = () => undefined;

/** Several rules, each only where those before it found nothing. */
export function all(...rules: readonly Rule[]): Rule {
  return (value, path, problems) => {
    const before = problems.length;
    for (const rule of rules) if (problems.length === before) rule(value, path, problems);
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
          what: `${at(path, key)} must be a known property`,
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

/** Objects by name: a rule for each object, and one for the names. */
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

/** Maximum number of entries of a list: more are a mistake, and would print as many errors. */
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

/** One of several shapes; a function picks the rule. `word` is the value that it read, and the values that it knows. */
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

/** One of several shapes, picked by the property that only this shape has. `form` lists the shapes, as the error shows them. */
export function byKey(rules: Readonly<Record<string, Rule>>, form = Object.keys(rules).join(', ')): Rule {
  const keys = Object.keys(rules);
  return either(
    (value) => rules[keys.find((key) => Object.hasOwn(value, key)) ?? ''],
    form,
    (value) => ({
      got: value,
      near: Object.keys(value)
        .map((key) => nearest(key, keys))
        .find((near) => near !== undefined),
    }),
  );
}

/** One of several shapes, picked by `kind`. */
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

/** Whether a value is an object literal, not an instance of a class. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const prototype = Object.getPrototypeOf(value);
  // Object.prototype of every realm has no prototype.
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}
