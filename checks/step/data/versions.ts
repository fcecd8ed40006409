import { imageParts } from '../../../values/names';

/** Programs whose data format depends on their version, by the last part of their image name. */
export type Engine = 'cassandra' | 'mongodb' | 'postgresql' | 'mysql' | 'mariadb' | 'elasticsearch' | 'neo4j';

const IMAGES: readonly (readonly [RegExp, Engine])[] = [
  [/cassandra/, 'cassandra'],
  [/^(percona-server-)?mongo(db)?(-community-server|-enterprise-server)?$/, 'mongodb'],
  [/^(postgres(ql)?|postgis|pgvector|timescaledb)(-ha|-repmgr)?$/, 'postgresql'],
  [/^(mysql|percona-server|mysql-server)$/, 'mysql'],
  [/^mariadb(-galera)?$/, 'mariadb'],
  [/^(elasticsearch|opensearch)$/, 'elasticsearch'],
  [/^neo4j$/, 'neo4j'],
];

/** The database that an image holds, if it is a known one. */
export function engineOf(image: unknown): Engine | undefined {
  const name = nameOf(image);
  if (/exporter|reaper|medusa|backup|operator|init/.test(name)) return undefined;
  return IMAGES.find(([pattern]) => pattern.test(name))?.[1];
}

function nameOf(image: unknown): string {
  return imageParts(String(image ?? ''))
    .path.split('/')
    .at(-1)!;
}

/** The tag of an image. Undefined without a tag. */
export function tagOf(image: unknown): string | undefined {
  return imageParts(String(image ?? '')).tag;
}

/** Numbers of a version: 8.0.26 for 8.0.26-noble. Undefined if the tag is not a version. */
export function numbersOf(tag: string | undefined): number[] | undefined {
  const found = /^v?(\d+(?:\.\d+)*)/.exec(tag ?? '')?.[1];
  return found?.split('.').map(Number);
}

/** Problem of an upgrade from one version to another, as the end of a sentence. */
export function versionProblem(
  engine: Engine,
  before: readonly number[],
  after: readonly number[],
): { readonly problem: string; readonly by: 'lower' | 'skip' } | undefined {
  if (compare(after, before) < 0)
    return {
      by: 'lower',
      problem: 'an older version does not read the files of a newer one, and may refuse to start or damage them',
    };
  if (series(engine, after) - series(engine, before) <= STEPS[engine]) return undefined;
  return {
    by: 'skip',
    problem:
      STEPS[engine] === 0
        ? 'a new major version does not read the files of the old one: they must be converted, or dumped and restored'
        : 'a major version is skipped, and none reads the files of the one before the last',
  };
}

/** The versions of an upgrade path, one commit each. The last one is the target. */
export function majorsBetween(engine: Engine, before: readonly number[], after: readonly number[]): string[] {
  const names =
    engine === 'mongodb'
      ? ['3.6', '4.0', '4.2', '4.4', ...numbered(5, after[0]!)]
      : numbered(before[0]! + 1, after[0]!).map((name) => name.replace(/\.0$/, ''));
  const between = names.filter((name) => {
    const place = series(engine, numbersOf(name)!);
    return place > series(engine, before) && place < series(engine, after);
  });
  return [...between, after.join('.')];
}

function numbered(from: number, to: number): string[] {
  return Array.from({ length: Math.max(0, to - from + 1) }, (_, index) => `${from + index}.0`);
}

/** How many series an upgrade may advance at once. PostgreSQL reads only files of its own major version. */
const STEPS: Readonly<Record<Engine, number>> = {
  cassandra: 1,
  mongodb: 1,
  postgresql: 0,
  mysql: 1,
  mariadb: Infinity,
  elasticsearch: 1,
  neo4j: 1,
};

/** Position of a version among those that an upgrade must pass one by one. */
function series(engine: Engine, [major = 0, minor]: readonly number[]): number {
  // Before version 5, each even minor version was a series: 3.6, 4.0, 4.2, 4.4, 5.0.
  if (engine === 'mongodb' && major < 5) return major < 4 ? 1 : 2 + (minor ?? 4) / 2;
  // 5.7, 8.0, 8.4, 9: 6 and 7 were never released.
  if (engine === 'mysql') return major < 8 ? 7 : major;
  return major;
}

/** Compares only the numbers that both have: 8.0 is neither above nor below 8.0.26. */
function compare(a: readonly number[], b: readonly number[]): number {
  const at = a.findIndex((number, index) => b[index] !== undefined && number !== b[index]);
  return at < 0 ? 0 : a[at]! - b[at]!;
}
