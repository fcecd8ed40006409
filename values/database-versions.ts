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
