import { sentence } from './problem';

/** What is wrong with a version of Cassandra, as a sentence, or undefined. */
export function cassandraVersionProblem(value: unknown, what: string): string | undefined {
  return exact(value, what, { product: 'Cassandra', least: 5, sample: '5.0.8' });
}

/** What is wrong with a version of MongoDB, as a sentence, or undefined. */
export function mongodbVersionProblem(value: unknown, what: string): string | undefined {
  return exact(value, what, { product: 'MongoDB', least: 6, sample: '8.0.26' });
}

interface Product {
  readonly product: string;
  /** The oldest major version whose configuration and commands we render. */
  readonly least: number;
  readonly sample: string;
}

function exact(value: unknown, what: string, { product, least, sample }: Product): string | undefined {
  const major = typeof value === 'string' ? /^(\d+)\.\d+\.\d+$/.exec(value)?.[1] : undefined;
  if (major !== undefined && Number(major) >= least) return undefined;
  return sentence({
    what: `${what} must be an exact version of ${product}`,
    got: value,
    allowed: `${least}.0.0 or newer, three numbers`,
    fix: `write it like ${sample}`,
  });
}

/**
 * What is wrong with a feature compatibility version of MongoDB, as a sentence, or undefined.
 * @param version of mongod; undefined when the image tag does not show it
 */
export function compatibilityProblem(value: unknown, version: string | undefined, what: string): string | undefined {
  if (typeof value !== 'string' || !/^[1-9]\d*\.\d+$/.test(value))
    return sentence({
      what: `${what} must be the major and minor version of a MongoDB`,
      got: value,
      allowed: 'two numbers',
      fix: 'write it like 8.0',
    });
  const [, major, minor] = /^v?(\d+)\.(\d+)/.exec(version ?? '') ?? [];
  if (major === undefined) return undefined;
  const known = [...new Set([`${Number(major) - 1}.0`, `${major}.0`, `${major}.${minor}`])];
  if (known.includes(value)) return undefined;
  return sentence({
    what: `${what} must be one that MongoDB ${version} supports`,
    got: value,
    allowed: known.join(', '),
    fix: 'first raise version, one major version at a time; change this value in a later commit',
  });
}
