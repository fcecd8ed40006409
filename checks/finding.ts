import type { Homelab } from '../inventory';
import type { Rendering } from './rendering';

/** What a check found: an error stops publishing, a warning is printed. */
export interface Finding {
  /** Whether it stops publishing, or is only printed. */
  readonly severity: 'error' | 'warning';
  /** The whole sentence: object, what was found, the limit, the arithmetic behind it, the fix. */
  readonly message: string;
}

/** What checks look at. */
export interface Checked {
  /** Every object of the app. */
  readonly rendering: Rendering;
  /** Missing where constructs are used without one. */
  readonly homelab?: Homelab;
  /** Secrets that constructs declared: names and keys. */
  readonly secrets?: readonly NamedSecret[];
  /** Names in the encrypted secrets file as namespace/name/key; missing where there is no file. */
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

/** A proof over everything that was rendered. */
export interface Check {
  /** As it is called in reports. */
  readonly name: string;
  /** What it cannot be made without, besides the rendering. @default nothing */
  readonly needs?: readonly (keyof Checked)[];
  /** What is wrong. Called only where what it needs is there. */
  find(checked: Checked): Finding[];
}

/** What checks found, and which of them could not be made. */
export interface Verdict {
  /** Of all checks that were made, in the order of the checks. */
  readonly findings: readonly Finding[];
  /** Names of checks whose needs were not there. */
  readonly notMade: readonly string[];
}

/** Makes every check whose needs are there. */
export function verdict(checks: readonly Check[], checked: Checked): Verdict {
  const missing = ({ needs = [] }: Check) => needs.some((need) => checked[need] === undefined);
  return {
    findings: checks.filter((check) => !missing(check)).flatMap((check) => check.find(checked)),
    notMade: checks.filter(missing).map(({ name }) => name),
  };
}
