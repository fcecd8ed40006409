import { documents } from './documents';
import type { State } from './step';

/** Versions of the platform, by their names in homelab.ts; ollama is that of the language models. */
export type Versions = Readonly<Partial<Record<'proxmox' | 'talos' | 'kubernetes' | 'argoCd' | 'ollama', string>>>;

/** Path below scripts/rendered. */
export const VERSIONS_FILE = 'versions.yaml';

/** The versions of a state; empty if they were not rendered yet. */
export function versionsOf({ machines }: Pick<State, 'machines'>): Versions {
  const text = machines?.get(VERSIONS_FILE);
  const [found = {}] = (text === undefined ? undefined : documents(text)) ?? [];
  return Object.fromEntries(Object.entries(found).map(([name, value]) => [name, String(value)]));
}

/** Major and minor, as [1, 36] of v1.36.3. */
export function minorOf(version: string): readonly [number, number] {
  const [, major = '0', minor = '0'] = /^v?(\d+)\.(\d+)/.exec(version) ?? [];
  return [Number(major), Number(minor)];
}
