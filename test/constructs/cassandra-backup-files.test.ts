import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { python3, pythonTest as test } from './python';

const folder = fs.mkdtempSync(join(tmpdir(), 'cassandra-backup-'));
for (const module of ['cql', 'snapshots', 'statements', 'restore'])
  fs.copyFileSync(resolve('constructs', 'files', `cassandra-${module}.py`), join(folder, `${module}.py`));
afterAll(() => fs.rmSync(folder, { recursive: true }));

/** Runs a program that prints JSON beside the scripts. What it refuses is its message. */
function python(program: string): any {
  const lines = program.split('\n').map((line) => `  ${line}`);
  const whole = `import json, os, sys; sys.path.insert(0, ${JSON.stringify(folder)})
import cql, snapshots, statements, restore
true, false, null = True, False, None
try:
${lines.join('\n')}
except (restore.Refused, cql.Failed, ValueError) as error:
  print(json.dumps("refused: %s" % error))`;
  const env = { ...process.env, PYTHONDONTWRITEBYTECODE: '1' };
  const said = execFileSync(python3, ['-c', whole], { env, encoding: 'utf8' });
  return JSON.parse(said.trim().split('\n').at(-1)!);
}

const of = (expression: string) => python(`print(json.dumps(${expression}))`);
const json = JSON.stringify;

describe('the snapshot of a node', () => {
  /** Steps of the handover against a node that answers from lists; nodetool makes the files of a snapshot. @returns what each `look` saw */
  function handover(program: string): any {
    const home = fs.mkdtempSync(join(folder, 'node-'));
    fs.mkdirSync(join(home, 'handover'));
    return python(`home, handover = ${JSON.stringify(home)}, ${JSON.stringify(join(home, 'handover'))}
class Ops:
    pod, data, said = "a", home, []
    def node(self): return {"members": [{"pod": "a"}]}
    def say(self, text, topic): self.said.append(text)
    def nodetool(self, command, *more):
        self.said.append(" ".join((command,) + more))
        if command == "snapshot":
            for path in ("t-" + 32 * "1", "v-" + 32 * "2"):
                at = os.path.join(home, "data/shop", path, "snapshots/backup")
                os.makedirs(at + "/.by_v", exist_ok=True)
                open(at + "/nb-1-big-Data.db", "w").write("abc")
                open(at + "/.by_v/nb-1-big-Data.db", "w").write("index")
class Session:
    tables = [{"keyspace_name": "shop"}]
    why, keyspaces = None, [{"keyspace_name": "system_auth"}, {"keyspace_name": "shop", "replication": {"dc1": "1"}}]
    def refusal(self): return self.why
    def run(self, text): return "CREATE TABLE shop.t;"
    def json_lines(self, text): return iter(['{"k": 1}', '{"k": 2}'])
    def rows(self, text):
        if "system.local" in text: return [{"cluster_name": "c", "data_center": "dc1", "rack": "r1", "host_id": "h", "release_version": "5.0.8", "tokens": ["9", "-1"]}]
        if "keyspaces" in text: return self.keyspaces
        if "system_schema.tables" in text: return [{"keyspace_name": "system"}] + self.tables
        if "columns" in text: return [{"keyspace_name": "shop", "table_name": each, "column_name": "k", "type": "int", "kind": "partition_key", "position": 0, "clustering_order": "none"} for each in "tv"]
        if "views" in text: return [{"keyspace_name": "shop", "view_name": "v"}]
        return []
ops, session = Ops(), Session()
node = snapshots.Snapshots(ops, lambda: session, handover)
def ask(): open(handover + "/request", "w").write('{"id": "1"}')
def answer(): return snapshots.read_json(handover + "/answer")
def files(): return sorted(os.path.relpath(os.path.join(at, name), home) for at, _, names in os.walk(home + "/.backup") for name in names)
${program}`);
  }

  test('is laid ready on request, without indexes and views, and removed once the request is gone', () => {
    const [answered, laid, manifest, calls, after] = handover(`ask()
node.step()
seen = [answer(), files(), snapshots.read_json(home + "/.backup/copy/manifest.json"), list(ops.said)]
node.step()
os.remove(handover + "/request")
node.step()
print(json.dumps(seen + [[answer(), files()]]))`);
    expect(answered).toEqual({ id: '1', state: 'ready', paths: [expect.stringMatching(/\/\.backup\/copy$/)] });
    const table = `.backup/copy/data/shop/t-${'1'.repeat(32)}`;
    expect(laid).toEqual([`${table}/nb-1-big-Data.db`, '.backup/copy/manifest.json']);
    expect(manifest).toMatchObject({
      id: '1',
      pod: 'a',
      members: ['a'],
      tokens: ['-1', '9'],
      schema: 'CREATE TABLE shop.t;',
    });
    expect(manifest.tables).toMatchObject([
      {
        keyspace: 'shop',
        table: 't',
        files: { 'nb-1-big-Data.db': 3 },
        columns: ['"k" int partition_key 0 none'],
        content: { rows: 2 },
      },
    ]);
    expect(calls.filter((each: string) => / -t /.test(each))).toEqual([
      'clearsnapshot -t backup',
      'snapshot -t backup -- shop',
      'clearsnapshot -t backup',
    ]);
    expect(after).toEqual([null, []]);
  });

  test('waits for a ring that just starts, and fails with the reason once that takes too long', () => {
    const [waits, failed] = handover(`ask()
session.why = "refused"
session.rows = lambda text: (_ for _ in ()).throw(cql.Failed("cqlsh as admin: refused"))
node.step()
first = answer()
os.utime(handover + "/request", (0, snapshots.time.time() - 1000))
node.step()
print(json.dumps([first, answer()]))`);
    expect(waits).toBeNull();
    expect(failed).toMatchObject({ state: 'failed', why: 'cqlsh as admin: refused' });
  });

  test('of a request that nobody takes back is removed after a day', () => {
    expect(
      handover(`ask()
node.step()
os.utime(handover + "/request", (0, snapshots.time.time() - 90000))
node.step()
print(json.dumps([answer(), files()]))`),
    ).toEqual([null, []]);
  });

  test('is not made of a ring without tables: one that begins again must not become the newest backup', () => {
    expect(
      handover(`ask()
session.tables = []
node.step()
print(json.dumps([answer(), files()]))`),
    ).toEqual([{ id: '1', state: 'skip', why: 'the ring has no table yet' }, []]);
  });

  test('is not made by a node that is no member any more, nor of a schema that does not hold still', () => {
    expect(
      handover(`ask()
ops.pod = "b"
node.step()
skipped = answer()["state"]
ops.pod, turn = "a", iter(range(99))
session.run = lambda text: str(next(turn))
os.remove(handover + "/answer")
node.step()
print(json.dumps([skipped, answer()["why"], files()]))`),
    ).toEqual(['skip', 'the schema changed during each of three snapshots', []]);
  });
});

describe('the schema of a backup', () => {
  test('is split at semicolons that end a statement, and at no other', () => {
    const schema = `CREATE TABLE a.t (k text PRIMARY KEY)\n WITH comment = 'it''s; so $$';\nCREATE FUNCTION a.f(x int) AS $$ return "a;b'"; $$;\nCREATE TABLE a."x;""y" (k int);`;
    expect(of(`statements.split(${json(schema)})`)).toHaveLength(3);
  });

  test('that was cut off is refused', () => {
    expect(of(`statements.split("CREATE TABLE a.t (k")`)).toBe(
      'refused: the schema of the backup ends within a statement: CREATE TABLE a.t (k',
    );
  });

  const repeatable = (text: string) => of(`statements.parse(${json(text)})`);

  test.each([
    ['CREATE TYPE a.b (x int);', 'TYPE', 'a', 'b', 'CREATE TYPE IF NOT EXISTS a.b (x int);'],
    ['CREATE INDEX i ON a."B c" (v);', 'INDEX', 'a', 'B c', 'CREATE INDEX IF NOT EXISTS i ON a."B c" (v);'],
    [
      "CREATE CUSTOM INDEX i ON a.b (v) USING 'S';",
      'INDEX',
      'a',
      'b',
      "CREATE CUSTOM INDEX IF NOT EXISTS i ON a.b (v) USING 'S';",
    ],
    [
      'CREATE MATERIALIZED VIEW a.b AS SELECT k;',
      'MATERIALIZED VIEW',
      'a',
      'b',
      'CREATE MATERIALIZED VIEW IF NOT EXISTS a.b AS SELECT k;',
    ],
    [
      'ALTER TABLE "order".t DROP gone USING TIMESTAMP 17;',
      'ALTER',
      'order',
      't',
      'ALTER TABLE "order".t DROP IF EXISTS gone USING TIMESTAMP 17;',
    ],
    ['ALTER TABLE a.t ADD back int;', 'ALTER', 'a', 't', 'ALTER TABLE a.t ADD IF NOT EXISTS back int;'],
    [
      "CREATE TABLE a.t (k int) WITH ID = 6223a3b0-eb06-11f1-ba27-55107fe40174\n    AND comment = '';",
      'TABLE',
      'a',
      't',
      "CREATE TABLE IF NOT EXISTS a.t (k int) WITH comment = '';",
    ],
  ])('%s may be said again', (text, kind, keyspace, table, again) => {
    expect(repeatable(text)).toEqual({ kind, keyspace, table, text: again });
  });

  test('with a statement that nobody knows is refused rather than left out', () => {
    expect(repeatable('CREATE MODEL a.b;')).toContain('refused: the schema of the backup holds a statement');
  });

  const keyspace = (replication: object, nodes: number) =>
    of(
      `statements.keyspace_statement({"keyspace_name": "order", "durable_writes": True, "replication": ${json(replication)}}, "home", ${nodes})`,
    );

  test('gets the copies that the ring can hold, in the datacenter of the ring', () => {
    const network = { class: 'org.apache.cassandra.locator.NetworkTopologyStrategy', dc1: '3' };
    expect(keyspace(network, 1)).toBe(
      `CREATE KEYSPACE IF NOT EXISTS "order" WITH replication = {'class': 'NetworkTopologyStrategy', 'home': 1} AND durable_writes = true;`,
    );
    expect(keyspace(network, 5)).toContain(`'home': 3}`);
    expect(keyspace({ class: 'SimpleStrategy', replication_factor: '2' }, 5)).toContain(`'home': 2}`);
  });
});

describe('the roles of a backup', () => {
  const roles = (manifest: object, present: object = {}) =>
    of(
      `statements.role_statements(${json({ roles: [], grants: [], limitedToDatacenters: [], ...manifest })}, ${json(present)})`,
    );
  const role = (name: string, member_of: string[] | null = null) => ({
    role: name,
    can_login: true,
    is_superuser: false,
    member_of,
    salted_hash: '$2a$10$x',
  });

  test('come with the hashes of their passwords, memberships and rights', () => {
    const [all, notes] = roles({
      roles: [role('o"x', ['group']), { ...role('group'), can_login: false, salted_hash: null }],
      grants: [
        { role: 'group', resource: 'data/shop/*', permissions: ['SELECT'] },
        {
          role: 'o"x',
          resource: 'functions/shop/f[org.apache.cassandra.db.marshal.Int32Type]',
          permissions: ['EXECUTE'],
        },
        { role: 'o"x', resource: 'roles/group', permissions: ['AUTHORIZE'] },
        { role: 'o"x', resource: 'functions/shop', permissions: ['EXECUTE'] },
      ],
    });
    expect(all).toEqual([
      `CREATE ROLE IF NOT EXISTS "o""x" WITH HASHED PASSWORD = '$2a$10$x' AND LOGIN = true AND SUPERUSER = false;`,
      `CREATE ROLE IF NOT EXISTS "group" WITH LOGIN = false AND SUPERUSER = false;`,
      `GRANT "group" TO "o""x";`,
      `GRANT SELECT ON ALL TABLES IN KEYSPACE "shop" TO "group";`,
      `GRANT EXECUTE ON FUNCTION "shop"."f"(int) TO "o""x";`,
      `GRANT AUTHORIZE ON ROLE "group" TO "o""x";`,
      `GRANT EXECUTE ON ALL FUNCTIONS IN KEYSPACE "shop" TO "o""x";`,
    ]);
    expect(notes).toEqual([]);
  });

  test('that are in the ring keep their passwords, and clients of the schema job the rights that it gave them', () => {
    const [all] = roles(
      {
        roles: [role('chat', ['made_by_schema_job', 'group']), role('owner')],
        grants: [
          { role: 'chat', resource: 'data/old/*', permissions: ['SELECT'] },
          { role: 'owner', resource: 'data', permissions: ['SELECT'] },
        ],
      },
      { chat: ['made_by_schema_job'], owner: [] },
    );
    expect(all).toEqual([`GRANT "group" TO "chat";`, `GRANT SELECT ON ALL KEYSPACES TO "owner";`]);
  });

  test('leave out those that belong to a ring or a run, and say what could not be given back', () => {
    const [all, notes] = roles({
      roles: [role('cassandra'), role('unrepaired_shop'), role('restore_loader_1a')],
      grants: [
        { role: 'cassandra', resource: 'data/shop', permissions: ['DROP'] },
        {
          role: 'owner',
          resource: 'functions/shop/f[org.apache.cassandra.db.marshal.TupleType(x)]',
          permissions: ['EXECUTE'],
        },
        { role: 'owner', resource: 'roles/restore_loader_1a', permissions: ['DROP'] },
      ],
      limitedToDatacenters: ['owner'],
    });
    expect(all).toEqual([]);
    expect(notes).toEqual([
      'permissions of owner on functions/shop/f[org.apache.cassandra.db.marshal.TupleType(x)] were not restored: grant them by hand',
      'owner was limited to some datacenters; this limit was not restored',
    ]);
  });
});

describe('the snapshots of a restore', () => {
  const manifest = (pod: string, more: object = {}) => ({
    pod,
    cluster: 'ring',
    taken: '2026-11-28T02:00:00Z',
    members: ['a', 'b'],
    keyspaces: { shop: {} },
    tables: [],
    ...more,
  });
  const chosen = (manifests: object[], hosts: string[] = []) =>
    of(`[each["pod"] for each in restore.chosen(${json(manifests)}, ${json(hosts)})]`);

  test('are those of the newest members: a node that left long ago would bring back what was deleted since', () => {
    expect(chosen([manifest('a'), manifest('b'), manifest('gone')])).toEqual(['a', 'b']);
  });

  test('one that is missing is refused, with the nodes that may be named instead', () => {
    expect(chosen([manifest('a')])).toBe(
      'refused: there is no snapshot of b; choose another time, or name the nodes to restore from (a): data that only the other nodes had is then lost',
    );
    expect(chosen([manifest('a')], ['a'])).toEqual(['a']);
  });

  test('one that is much older than the others is refused', () => {
    expect(chosen([manifest('a'), manifest('b', { taken: '2026-11-20T02:00:00Z' })])).toContain(
      'refused: the snapshot of b (2026-11-20T02:00:00Z) is 8 days older than that of a',
    );
  });

  test('of two rings are refused', () => {
    expect(chosen([manifest('a'), manifest('b', { cluster: 'other' })])).toBe(
      'refused: the snapshots belong to different rings: other, ring',
    );
  });

  test('that hold nothing are refused, and so is a keyspace that they lack', () => {
    expect(of(`restore.tables_of(${json([manifest('a')])}, None)`)).toBe(
      'refused: the backup is empty: it holds no table of any keyspace; choose an earlier time with --at',
    );
    expect(of(`restore.tables_of(${json([manifest('a')])}, "other")`)).toBe(
      'refused: the backup holds no table of other; it has the keyspaces: shop',
    );
  });

  const staged = (files: Record<string, string>, snapshots: object[] = []) => {
    const staging = fs.mkdtempSync(join(folder, 'staging-'));
    for (const [path, text] of Object.entries(files)) {
      fs.mkdirSync(join(staging, path, '..'), { recursive: true });
      fs.writeFileSync(join(staging, path), text);
    }
    fs.writeFileSync(join(staging, 'fetched.json'), json({ snapshots }));
    return staging;
  };

  test('none, or one without a manifest, is no backup', () => {
    expect(of(`restore.read_manifests(${json(staged({}))})`)).toBe(
      'refused: no snapshot was fetched; choose another time with --at',
    );
    const half = [{ host: 'a', time: 'T', path: '/nowhere' }];
    expect(of(`restore.read_manifests(${json(staged({}, half))})`)).toContain('refused: the snapshot of a at T has no');
  });

  test('files that are missing or cut short are named', () => {
    const path = staged({ 'data/shop/t-1/nb-1-big-Data.db': 'abc', 'data/shop/t-1/nb-1-big-Index.db': 'abc' });
    const files = { 'nb-1-big-Data.db': 4, 'nb-1-big-Index.db': 3, 'nb-1-big-TOC.txt': 5 };
    const entry = { ...manifest('a', { tables: [{ folder: 'data/shop/t-1', files }] }), path };
    expect(of(`restore.damaged(${json(entry)})`)).toEqual([
      'a/data/shop/t-1/nb-1-big-Data.db: 3 bytes instead of 4',
      'a/data/shop/t-1/nb-1-big-TOC.txt: missing',
    ]);
  });
});

describe('a restore', () => {
  const columns = ['"k" int partition_key 0 none'];
  const row = {
    keyspace_name: 'shop',
    table_name: 't',
    column_name: 'k',
    type: 'int',
    kind: 'partition_key',
    position: 0,
    clustering_order: 'none',
  };
  const manifest = {
    pod: 'a',
    id: '1',
    cluster: 'ring',
    taken: '2026-11-28T02:00:00Z',
    version: '5.0.8',
    members: ['a'],
    schema: 'CREATE KEYSPACE shop WITH x;\nCREATE TABLE shop.t (k int PRIMARY KEY);',
    keyspaces: { shop: { keyspace_name: 'shop', durable_writes: true, replication: { dc1: '3' } } },
    tables: [
      {
        keyspace: 'shop',
        table: 't',
        folder: 'data/shop/t-1',
        files: { 'nb-1-big-Data.db': 1 },
        columns,
        content: { rows: 1, sha256: 'x' },
      },
    ],
    roles: [],
    grants: [],
    limitedToDatacenters: [],
  };

  /** Runs it against a ring that answers from lists, and a sstableloader that notes its calls. @returns its answer and what was said to the ring */
  function run(
    ring: { columns?: object[]; rows?: object[]; now?: object; id?: string; loader?: string; replace?: boolean },
    staging?: string,
  ) {
    const home = staging ?? fs.mkdtempSync(join(folder, 'run-'));
    fs.writeFileSync(
      join(home, 'sstableloader'),
      `#!/bin/sh\necho "$*" >> ${home}/loads\n${ring.loader ?? 'exit 0'}\n`,
      { mode: 0o755 },
    );
    const result = python(`os.environ["PATH"] = ${json(`${home}:/usr/bin:/bin`)}
restore.RETRY_SECONDS = 0
said = []
class Session:
    made = ${json((ring.columns ?? []).length > 0)}
    def rows(self, select):
        if "system.local" in select: return [{"data_center": "home", "rpc_address": "10.0.0.1"}]
        if "peers" in select or "system_auth" in select: return []
        if "columns" in select: return ${json(ring.columns ?? [row])} if Session.made else []
        if "system_schema.tables" in select: return [{"keyspace_name": "shop", "table_name": "t", "id": ${json(ring.id ?? 'one')}}]
        return ${json(ring.rows ?? [])}
    def run(self, text):
        said.append(text)
        Session.made = Session.made or "CREATE TABLE" in text
restore.content = lambda *_: ${json(ring.now ?? { rows: 1, sha256: 'x' })}
manifest = dict(${json(manifest)}, path="/staged")
try:
    result = restore.Restore(Session(), [manifest], None, ${json(ring.replace ?? false)}, ${json(home)}).run()
except (restore.Refused, cql.Failed) as error:
    result = "refused: %s" % error
print(json.dumps([result, said]))`);
    const loads = fs.existsSync(join(home, 'loads'))
      ? fs.readFileSync(join(home, 'loads'), 'utf8').trim().split('\n')
      : [];
    fs.rmSync(join(home, 'loads'), { force: true });
    return { result: result[0], said: result[1] as string[], loads, home };
  }

  test('makes the schema, loads each table with a login of its own, and compares', () => {
    const { result, said, loads } = run({});
    expect(result).toMatchObject({ tables: 1, equal: 1, differs: [], lost: [] });
    expect(said[0]).toContain(`'home': 1}`);
    expect(said.join('\n')).not.toContain('TRUNCATE');
    expect(loads[0]).toMatch(/^-d 10\.0\.0\.1 -u restore_loader_\w+ -pw \w+ --no-progress \/staged\/data\/shop\/t-1$/);
  });

  test('refuses a table that holds rows, and empties it where it is told to replace', () => {
    const refused = run({ columns: [row], rows: [{ k: 1 }] });
    expect(refused.result).toContain('refused: these tables hold rows: shop.t; restore with --replace');
    expect(refused.loads).toEqual([]);
    const { said, loads } = run({ columns: [row], rows: [{ k: 1 }], replace: true });
    expect(said).toContain('TRUNCATE "shop"."t";');
    expect(loads).toHaveLength(1);
  });

  test('empties a table without rows that was there: deletions in it would hide what comes back', () => {
    expect(run({ columns: [row] }).said).toContain('TRUNCATE "shop"."t";');
  });

  test('refuses a table of other columns, and names them', () => {
    expect(run({ columns: [{ ...row, type: 'text' }] }).result).toContain(
      'shop.t has other columns than in the backup: it has "k" text partition_key 0 none; it lacks "k" int partition_key 0 none',
    );
  });

  test('that was killed is finished by the next, which loads what is left and empties nothing', () => {
    const killed = run({ loader: 'exit 1' });
    expect(killed.result).toContain('sstableloader failed 4 times');
    const next = run({ columns: [row], rows: [{ k: 1 }] }, killed.home);
    expect(next.result).toMatchObject({ equal: 1 });
    expect(next.said.join('\n')).not.toContain('TRUNCATE');
    expect(run({ columns: [row], rows: [{ k: 1 }] }, killed.home).loads).toEqual([]);
  });

  test('loads a table again that was made again since', () => {
    const { home } = run({});
    expect(run({ columns: [row], id: 'two' }, home).loads).toHaveLength(1);
  });

  test('says where rows differ, and that all of them are lost', () => {
    expect(run({ now: { rows: 3, sha256: 'y' } }).result.differs).toEqual([
      'shop.t: 3 rows, counted after the snapshot: 1',
    ]);
    expect(run({ now: { rows: 0, sha256: 'y' } }).result.lost).toHaveLength(1);
  });
});
