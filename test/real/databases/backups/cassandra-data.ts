import { admin } from '../clients';
import type { TestNode } from '../../node/node';
import type { Pod } from '../../node/pod';

/** Data of every kind that the backup of a ring must contain. */
const schema = (copies: number) => `
CREATE KEYSPACE shop WITH replication = {'class': 'NetworkTopologyStrategy', 'dc1': ${copies}};
CREATE KEYSPACE "order" WITH replication = {'class': 'NetworkTopologyStrategy', 'dc1': 1} AND durable_writes = false;
USE shop;
CREATE TYPE place (street text, zip int);
CREATE TYPE person (name text, home frozen<place>);
CREATE TABLE people (id int, seq int, who frozen<person>, at place, tags set<text>, marks map<text, int>, list list<int>, town text static, gone text, back int, PRIMARY KEY (id, seq)) WITH CLUSTERING ORDER BY (seq DESC) AND comment = 'o''ne; "two" $$ \\';
CREATE TABLE hits (page text PRIMARY KEY, n counter);
CREATE TABLE "Odd" ("Key" text PRIMARY KEY, bytes blob, d double, t timestamp, u duration, v text);
CREATE TABLE many (k int PRIMARY KEY, v text);
CREATE INDEX by_back ON people (back);
CREATE CUSTOM INDEX by_list ON people (list) USING 'StorageAttachedIndex';
CREATE FUNCTION plus(a int, b int) CALLED ON NULL INPUT RETURNS int LANGUAGE java AS $$return (a == null ? 0 : a) + (b == null ? 0 : b);$$;
CREATE AGGREGATE total(int) SFUNC plus STYPE int INITCOND 0;
CREATE MATERIALIZED VIEW by_mark AS SELECT id, seq, back FROM people WHERE id IS NOT NULL AND seq IS NOT NULL AND back IS NOT NULL PRIMARY KEY (back, id, seq);
CREATE TABLE "order".t (k int PRIMARY KEY, v text);
`;

const ROWS = `
USE shop;
INSERT INTO people (id, seq, who, at, tags, marks, list, town, gone, back) VALUES (1, 1, {name: 'x', home: {street: 'y', zip: 1}}, {street: 's', zip: 2}, {'a', 'b'}, {'k': 1}, [1, 2], 'here', 'g', 7);
INSERT INTO people (id, seq, back, gone) VALUES (1, 2, 8, 'g');
INSERT INTO people (id, seq, back) VALUES (2, 1, 9) USING TTL 864000;
UPDATE hits SET n = n + 3 WHERE page = 'a';
UPDATE hits SET n = n + 4 WHERE page = 'a';
INSERT INTO "Odd" ("Key", bytes, d, t, u, v) VALUES ('a''b', 0xff00, 0.1, '2026-01-01', 1h2m, 'ü \\ "line
two"');
INSERT INTO "order".t (k, v) VALUES (1, 'one');
INSERT INTO "order".t (k, v) VALUES (2, 'two');
${Array.from({ length: 300 }, (_, k) => `INSERT INTO many (k, v) VALUES (${k}, 'value ${k}');`).join('\n')}
`;

/** Runs after a flush, so that deletions are in other files than the deleted rows. */
const DELETIONS = `
USE shop;
DELETE FROM people WHERE id = 1 AND seq = 2;
DELETE FROM many WHERE k = 299;
DROP MATERIALIZED VIEW by_mark;
ALTER TABLE people DROP gone;
CREATE MATERIALIZED VIEW by_mark AS SELECT id, seq, back FROM people WHERE id IS NOT NULL AND seq IS NOT NULL AND back IS NOT NULL PRIMARY KEY (back, id, seq);
CREATE ROLE "Odd ""x" WITH LOGIN = true AND PASSWORD = 'pp''q';
CREATE ROLE readers;
GRANT readers TO "Odd ""x";
GRANT SELECT ON KEYSPACE shop TO readers;
GRANT MODIFY ON shop."Odd" TO "Odd ""x";
GRANT EXECUTE ON FUNCTION shop.plus(int, int) TO readers;
GRANT AUTHORIZE ON ROLE readers TO "Odd ""x";
`;

/** Queries for rows by every access path, then permissions. Equal answers mean equal rings. */
const QUESTIONS = `
CONSISTENCY ALL;
SELECT JSON * FROM shop.people;
SELECT JSON * FROM shop.hits;
SELECT JSON * FROM shop."Odd";
SELECT JSON * FROM shop.many;
SELECT JSON * FROM "order".t;
SELECT JSON * FROM shop.by_mark;
SELECT JSON id, seq FROM shop.people WHERE back = 7;
SELECT JSON id, seq FROM shop.people WHERE list CONTAINS 2;
SELECT JSON shop.total(k) FROM shop.many;
`;
const RIGHTS = `
SELECT JSON role, can_login, is_superuser, member_of, salted_hash FROM system_auth.roles;
SELECT JSON * FROM system_auth.role_permissions;
SELECT JSON * FROM system_schema.types;
SELECT JSON * FROM system_schema.functions;
SELECT JSON * FROM system_schema.columns;
SELECT JSON index_name, kind, options FROM system_schema.indexes;
`;
/** Data that differs for each ring. */
const OWN = /"role": "(cassandra|admin)"|"keyspace_name": "system/;

async function say(node: TestNode, pod: Pod, statements: string): Promise<string> {
  const { code, output } = await admin(node, pod, statements.trim());
  if (code !== 0) throw new Error(`the ring refuses what the test says: ${output.slice(-500)}`);
  return output;
}

/** Fills a ring like one in use, with several files, deletions and permissions. */
export async function fill(node: TestNode, [pod, ...others]: readonly Pod[]): Promise<void> {
  await say(node, pod!, schema(others.length + 1));
  await say(node, pod!, ROWS);
  for (const each of [pod!, ...others]) await each.container('cassandra').exec(['nodetool', 'flush']);
  await say(node, pod!, DELETIONS);
}

/** Every row, as lines. */
export async function rows(node: TestNode, pod: Pod): Promise<string> {
  return lines(await say(node, pod, QUESTIONS)).join('\n');
}

/** Roles with the hashes of their passwords, rights and schema, sorted: their tokens are none of a restore's concern. */
export async function rights(node: TestNode, pod: Pod): Promise<string> {
  return lines(await say(node, pod, RIGHTS))
    .filter((line) => !OWN.test(line))
    .sort()
    .join('\n');
}

function lines(output: string): string[] {
  return output
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line.startsWith('{'));
}
