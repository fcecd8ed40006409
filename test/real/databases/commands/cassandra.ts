import type { Tally } from '../../tally';
import { everyCommand, givenBack, type Tried } from './given-back';
import { inLab, type Lab } from './lab';

const NODE = 'cassandra-r1-0';
const ROWS = 300;

const SCHEMA = `
CREATE TABLE app.t (k int PRIMARY KEY, v text, n set<int>);
CREATE TABLE app.hits (page text PRIMARY KEY, n counter);
CREATE ROLE owner WITH LOGIN = true AND PASSWORD = 'pp''q';
GRANT SELECT ON KEYSPACE app TO owner;
UPDATE app.hits SET n = n + 3 WHERE page = 'a';
`;
const INSERTS = Array.from(
  { length: ROWS },
  (_, k) => `INSERT INTO app.t (k, v, n) VALUES (${k}, 'value ${k}', {${k}, 1});`,
).join('\n');
const QUESTIONS = `
SELECT JSON * FROM app.t;
SELECT JSON * FROM app.hits;
SELECT JSON role, can_login, member_of, salted_hash FROM system_auth.roles WHERE role = 'owner';
SELECT JSON * FROM system_auth.role_permissions WHERE role = 'owner';
`;
const COUNT = 'SELECT count(*) AS rows FROM app.t;\n';

const TRIED: Tried = {
  keeper: NODE,
  fill: async (lab) => {
    await typed(lab, SCHEMA);
    await typed(lab, INSERTS);
  },
  contents: async (lab) => {
    const lines = (await typed(lab, QUESTIONS)).split('\n').filter((line) => line.trim().startsWith('{'));
    return lines.join('\n');
  },
  shells: [
    { args: [], input: COUNT, answers: new RegExp(`^\\s*${ROWS}$`, 'm') },
    { args: ['--as=app'], input: COUNT, answers: new RegExp(`^\\s*${ROWS}$`, 'm') },
  ],
};

/** One node, and every command: a part of --full. */
export async function cassandraCommands(tally: Tally): Promise<void> {
  await inLab(tally, 'cassandra', 1, async (lab) => {
    await givenBack(lab, TRIED);
    await everyCommand(lab, TRIED);
  });
}

/** As admin, in the pod. @throws with what it printed where it fails */
function typed(lab: Lab, statements: string): Promise<string> {
  const shell = 'exec cqlsh -u admin -p "$0" "$POD_IP" -e "$1"';
  const login = lab.password('cassandra-admin');
  return lab.kubectl(['exec', NODE, '-c', 'cassandra', '--', 'sh', '-c', shell, login, statements.trim()], 120);
}
