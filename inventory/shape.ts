import type { Duration } from 'cdk8s';
import { membersProblem } from '../values/members';
import { dnsLabelProblem, dnsNameProblem, imageProblem, ipv4Network, ipv4Problem, portProblem } from '../values/names';
import { gitAddressProblem } from '../values/git-address';
import { domainProblem, registryProblem } from '../values/outside-names';
import { sentence } from '../values/problem';
import { cpuProblem, sizeProblem } from '../values/quantity';

/**
 * What values must look like, one rule each. Types say the same, but synth runs without a type check: a rule refuses at
 * run time what the compiler refuses in the editor, with the same meaning.
 */
export type Rule = (value: unknown, path: string, problems: string[]) => void;

/** A rule for each property of T: a property without a rule, or a rule without its property, does not compile. */
export type Shape<T> = { readonly [K in keyof Required<T>]: Rule };

/** A rule made from a judgement that returns a sentence or undefined. */
function judged(judge: (value: unknown, path: string) => string | undefined): Rule {
  return (value, path, problems) => {
    const problem = judge(value, path);
    if (problem !== undefined) problems.push(problem);
  };
}

export const size = judged(sizeProblem);
export const cpu = judged(cpuProblem);
export const dnsLabel = judged((value, path) => dnsLabelProblem(value, path));
export const dnsName = judged(dnsNameProblem);
export const domain = judged(domainProblem);
export const registry = judged(registryProblem);
export const gitAddress = judged(gitAddressProblem);
export const address = judged(ipv4Problem);
export const port = judged(portProblem);
export const image = judged(imageProblem);
export const members = judged(membersProblem);

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

/** Text of at least one character. */
export const text = judged((value, path) =>
  typeof value === 'string' && value.length > 0
    ? undefined
    : sentence({ what: `${path} must be text`, got: value, fix: 'write it in quotes' }),
);

export const flag = judged((value, path) =>
  typeof value === 'boolean'
    ? undefined
    : sentence({ what: `${path} must be true or false`, got: value, fix: 'write true or false without quotes' }),
);

/** A span of time of at least a second. */
export const duration = judged((value, path) => {
  const seconds =
    typeof (value as Partial<Duration> | null)?.toSeconds === 'function'
      ? (value as Duration).toSeconds({ integral: false })
      : NaN;
  return seconds >= 1
    ? undefined
    : sentence({ what: `${path} must be a Duration of at least 1 s`, got: value, fix: 'write Duration.seconds(210)' });
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
      : sentence({ what: `${path} must be one of ${values.join(', ')}`, got: value, fix: 'choose one of them' }),
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
          what: `${path} must be an object`,
          got: value,
          allowed: Object.keys(rules).join(', '),
          fix: 'write it as { ... }',
        }),
      );
      return;
    }
    for (const key of Object.keys(value)) {
      if (!(key in rules))
        problems.push(
          sentence({
            what: `${at(path, key)} must be something this file knows`,
            got: value[key],
            allowed: Object.keys(rules).join(', '),
            fix: 'correct the name or remove it',
          }),
        );
    }
    for (const [key, rule] of Object.entries<Rule>(rules)) rule(value[key], at(path, key), problems);
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

export function listOf(rule: Rule, minimum = 0): Rule {
  return (value, path, problems) => {
    if (!Array.isArray(value) || value.length < minimum) {
      problems.push(
        sentence({
          what: `${path} must be a list${minimum ? ` of at least ${minimum}` : ''}`,
          got: value,
          fix: 'write it as [ ... ]',
        }),
      );
      return;
    }
    value.forEach((entry, index) => rule(entry, `${path}[${index}]`, problems));
  };
}

/** One of several shapes, told apart by a function that picks the rule. */
export function either(pick: (value: Readonly<Record<string, unknown>>) => Rule | undefined, allowed: string): Rule {
  return (value, path, problems) => {
    const rule = isRecord(value) ? pick(value) : undefined;
    if (rule) rule(value, path, problems);
    else
      problems.push(
        sentence({ what: `${path} must be of a known kind`, got: value, allowed, fix: 'choose one of them' }),
      );
  };
}

export function at(path: string, key: string): string {
  return path === '' ? key : /^[\w-]+$/.test(key) ? `${path}.${key}` : `${path}[${JSON.stringify(key)}]`;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
