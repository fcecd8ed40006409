import type { Homelab } from '../inventory';
import type { Rendering } from './rendering';

/** What a check found: an error stops publishing, a warning is printed. */
export interface Finding {
  readonly severity: 'error' | 'warning';
  /** Name of the check. */
  readonly check: string;
  /** The whole sentence: object, what was found, the limit, the arithmetic behind it, the fix. */
  readonly message: string;
}

/** What checks look at. `homelab` is missing where constructs are used without one; checks that need it are then not made. */
export interface Checked {
  readonly rendering: Rendering;
  readonly homelab?: Homelab;
  /** Secrets that constructs declared: names and keys. */
  readonly secrets?: readonly NamedSecret[];
  /** Names in the encrypted secrets file as namespace/name/key; missing where there is no file. */
  readonly encrypted?: ReadonlySet<string>;
}

export interface NamedSecret {
  readonly name: string;
  readonly namespaces: readonly string[];
  readonly keys: readonly string[];
}

export type Check = (checked: Checked) => Finding[];
