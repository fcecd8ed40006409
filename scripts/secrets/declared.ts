import * as fs from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { isDerived, type ListedSecret, type SecretSource } from '../../values/secrets';
import { Blocked } from '../engine/problem';
import { DIST } from '../engine/root';
import type { Pair } from './certificates';
import { publicPem } from './key-pair';
import { publicHalf } from './ssh-key';

/** Values of one secret by key. */
export type Values = Readonly<Record<string, string>>;

/** The secrets that synth listed. @throws Blocked when the list is not there or is something else */
export function declaredSecrets(): ListedSecret[] {
  const file = join(DIST, 'secrets.yaml');
  const list = fs.existsSync(file) ? parse(fs.readFileSync(file, 'utf8'))?.secrets : undefined;
  if (!Array.isArray(list))
    throw new Blocked(`${file} must list the secrets of the cluster, but does not; npm run synth`);
  return list;
}

/** The keys of a secret that are a certificate and its private key. */
export function certificateKeys({ keys }: ListedSecret): Pair | undefined {
  const named = (kind: string) => Object.keys(keys).find((key) => (keys[key] as any).generate === kind);
  const [certificate, key] = [named('certificate'), named('certificate-key')];
  return certificate === undefined || key === undefined ? undefined : { certificate, key };
}

/** Keys that get a new value when a secret is rotated: what is generated or asked for, and names that alternate. */
export function changingKeys({ keys }: ListedSecret): string[] {
  return Object.keys(keys).filter((key) => !('value' in keys[key]!) || alternateOf(keys[key]!) !== undefined);
}

/** The other name of each key that has two by turns. */
export function otherNames({ keys }: ListedSecret, now: Values): Values {
  const others = Object.entries(keys).flatMap(([key, source]): [string, string][] => {
    const alternate = alternateOf(source);
    if (alternate === undefined || !('value' in source) || now[key] === undefined) return [];
    return [[key, now[key] === source.value ? alternate : source.value]];
  });
  return Object.fromEntries(others);
}

function alternateOf(source: SecretSource): string | undefined {
  return 'value' in source ? source.alternate : undefined;
}

/** Values with the keys that follow from them: another key, percent-encoded as a URI wants it, or its public half. */
export function withDerived({ name, keys }: ListedSecret, values: Values): Values {
  const derived = Object.entries(keys).flatMap(([key, source]) => {
    if (!isDerived(source)) return [];
    const of = values['percentEncoded' in source ? source.percentEncoded : source.publicHalfOf];
    if (of === undefined) return [];
    const value = 'percentEncoded' in source ? percentEncoded(of) : (publicHalf(of, name) ?? publicPem(of));
    return value === undefined ? [] : [[key, value]];
  });
  return { ...values, ...Object.fromEntries(derived) };
}

/** Also the five characters that encodeURIComponent leaves, which some parsers take for delimiters. */
function percentEncoded(value: string): string {
  return encodeURIComponent(value).replace(/[!'()*]/g, (each) => `%${each.charCodeAt(0).toString(16).toUpperCase()}`);
}
