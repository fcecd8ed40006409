import type { Homelab } from '../inventory';
import type { Rendering } from './rendering';

/** What a check found: an error stops publishing, a warning is printed. */
export interface Finding {
  /** Whether it stops publishing, or is only printed. */
  readonly severity: 'error' | 'warning';
  /** The whole message: object, problem, limit, arithmetic, fix. */
  readonly message: string;
}

/** The input of checks. */
export interface Checked {
  /** Every object of the app. */
  readonly rendering: Rendering;
  /** Undefined if constructs are used without one. */
  readonly homelab?: Homelab;
  /** Secrets that constructs declared: names and keys. */
  readonly secrets?: readonly NamedSecret[];
  /** Names in the encrypted secrets file as namespace/name/key; undefined without a file. */
  readonly encrypted?: ReadonlySet<string>;
}

/** A declared secret without its values. */
export interface NamedSecret {
  /** Name of the Secret. */
  readonly name: string;
  /** Where it must exist. */
  readonly namespaces: readonly string[];
  /** Names of its keys. */
  readonly keys: readonly string[];
}

/** A check of everything that was rendered. */
export interface Check {
  /** Its name in reports. */
  readonly name: string;
  /** Inputs that it needs besides the rendering. @default none */
  readonly needs?: readonly (keyof Checked)[];
  /** Returns what is wrong. Called only if its inputs exist. */
  find(checked: Checked): Finding[];
}

/** What checks found, and which of them did not run. */
export interface Verdict {
  /** Findings of all checks that ran, in the order of the checks. */
  readonly findings: readonly Finding[];
  /** Names of checks whose inputs are missing. */
  readonly notMade: readonly string[];
}

/** Runs every check whose inputs exist. */
export function verdict(checks: readonly Check[], checked: Checked): Verdict {
  const missing = ({ needs = [] }: Check) => needs.some((need) => checked[need] === undefined);
  return {
    findings: checks.filter((check) => !missing(check)).flatMap((check) => check.find(checked)),
    notMade: checks.filter(missing).map(({ name }) => name),
  };
}
