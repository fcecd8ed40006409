import { spawn, spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const FILES = join(__dirname, '../../constructs/files');

/** jq is in the image beside restic; without it here the scripts cannot run. */
const scripts: jest.It = spawnSync('jq', ['--version']).status === 0 ? test : test.skip;
if (scripts === test.skip) console.warn('jq is not here, so backup.sh and restore-fetch.sh are not run: install jq');

/** Stands in for restic: says what files say, and notes what it was called with. What the real one says is tried in test/real. */
const RESTIC = `#!/bin/sh
echo "$*" >>"$FAKE/calls"
for word in "$@"; do
  case $word in cat | init | unlock | snapshots | backup | forget | check | stats | restore) command=$word; break ;; esac
done
[ "$command" != init ] || rm -f "$FAKE/cat"
[ ! -f "$FAKE/$command.out" ] || cat "$FAKE/$command.out"
if [ -f "$FAKE/$command.once" ]; then
  mv "$FAKE/$command.once" "$FAKE/said"
  tail -n +2 "$FAKE/said" >&2
  exit "$(head -n 1 "$FAKE/said")"
fi
if [ -f "$FAKE/$command" ]; then tail -n +2 "$FAKE/$command" >&2; exit "$(head -n 1 "$FAKE/$command")"; fi
if [ "$command" = backup ]; then
  echo "[{\\"time\\":\\"$(date -u +%Y-%m-%dT%H:%M:%S).5Z\\",\\"hostname\\":\\"db-0\\",\\"paths\\":[\\"/data\\"],\\"id\\":\\"aa\\"}]" >"$FAKE/snapshots.out"
  echo '{"message_type":"summary","total_bytes_processed":4711,"snapshot_id":"aa"}'
fi
if [ "$command" = restore ]; then
  target=$(echo "$*" | sed 's/.*--target \\([^ ]*\\).*/\\1/')
  mkdir -p "$target/data" && echo '{}' >"$target/data/manifest.json"
fi
exit 0
`;
const ABSENT =
  '1\nFatal: unable to open config file: Lstat: file does not exist\nIs there a repository at the following location?';

let folder: string;
beforeEach(() => {
  folder = fs.mkdtempSync(join(tmpdir(), 'backup-'));
  for (const each of ['bin', 'fake', 'handover', 'work', 'target', 'stage', 'copy']) fs.mkdirSync(join(folder, each));
  fs.writeFileSync(join(folder, 'bin/restic'), RESTIC, { mode: 0o755 });
  fs.writeFileSync(join(folder, 'copy/manifest.json'), '{}\n');
  fake('snapshots.out', '[]');
});
afterEach(() => fs.rmSync(folder, { recursive: true, force: true }));

function fake(name: string, text: string) {
  fs.writeFileSync(join(folder, 'fake', name), text);
}

function snapshots(...hoursAgo: number[]) {
  const at = (hours: number) => new Date(Date.now() - hours * 3600_000).toISOString();
  const all = hoursAgo.map((hours, index) => ({
    time: at(hours),
    hostname: `db-${index}`,
    paths: ['/data'],
    id: `id${index}`,
  }));
  fake('snapshots.out', JSON.stringify(all));
}

const calls = () => fs.readFileSync(join(folder, 'fake/calls'), 'utf8');

function environment(more: Record<string, string>) {
  return {
    PATH: `${join(folder, 'bin')}:${process.env.PATH}`,
    FAKE: join(folder, 'fake'),
    HANDOVER: join(folder, 'handover'),
    WORK: join(folder, 'work'),
    STAGE: join(folder, 'stage'),
    FILES,
    RESTIC_REPOSITORY: join(folder, 'target/db'),
    BACKUP_PARENT: join(folder, 'target'),
    BACKUP_DATABASE: 'db',
    BACKUP_POD: 'db-0',
    BACKUP_KEEPER: 'db-0',
    BACKUP_GROUP: 'tags',
    BACKUP_EVERY_SECONDS: '86400',
    BACKUP_KEEP: '--keep-daily 7',
    BACKUP_RETRY_SECONDS: '1',
    ...more,
  };
}

/** Runs the container's script until its status says what is waited for; answers its request with a state. */
async function backup(answer: object | undefined, more: Record<string, string> = {}) {
  const child = spawn('sh', [join(FILES, 'backup.sh')], {
    env: environment(more),
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = new Promise((resolve) => child.on('close', resolve));
  let log = '';
  child.stdout.on('data', (text) => (log += text));
  const path = (name: string) => join(folder, 'handover', name);
  const until = Date.now() + 15_000;
  while (!fs.existsSync(path('status.json')) && Date.now() < until) {
    if (answer && fs.existsSync(path('request'))) {
      const { id } = JSON.parse(fs.readFileSync(path('request'), 'utf8'));
      // By rename, as both containers write: a reader never sees half of it.
      fs.writeFileSync(path('answer.new'), JSON.stringify({ id, ...answer }));
      fs.renameSync(path('answer.new'), path('answer'));
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  child.kill('SIGTERM');
  await ended;
  expect(fs.existsSync(path('request'))).toBe(false);
  return { log, status: JSON.parse(fs.readFileSync(path('status.json'), 'utf8')) };
}

const ready = () => ({ state: 'ready', paths: [join(folder, 'copy')] });

describe('backup.sh', () => {
  scripts('makes the repository where the target has none, stores the copy, and tells how old it is', async () => {
    fake('cat', ABSENT);
    const { log, status } = await backup(ready());
    expect(log).toContain('created an empty repository');
    expect(status).toMatchObject({ error: null, bytes: 4711, newest: expect.stringMatching(/^20.*Z$/) });
    expect(calls()).toMatch(/backup .*--host db-0 --tag db --files-from-verbatim/);
    expect(calls()).toMatch(/forget .*--group-by tags --keep-daily 7 --prune/);
  });

  scripts.each([
    ['does not answer', '1\nFatal: unable to open repository: connection refused'],
    ['hangs up', '1\nFatal: unable to open config file: EOF\nIs there a repository at the following location?'],
    ['was made with another password', '1\nFatal: wrong password or no key found'],
  ])('makes no repository at a target that %s', async (_what, answer) => {
    fake('cat', answer);
    const { status } = await backup(undefined);
    expect(status.error).toMatch(/refused|EOF|does not open the repository/);
    expect(calls()).not.toContain('init');
  });

  scripts('makes no repository where the folder of the target is gone: its disk is not mounted', async () => {
    fake('cat', ABSENT);
    fs.rmSync(join(folder, 'target'), { recursive: true });
    const { status } = await backup(undefined);
    expect(status.error).toMatch(/mount its disk/);
    expect(calls()).not.toContain('init');
  });

  scripts('lets only one pod create the repository: two at once would leave keys that read nothing', async () => {
    fake('cat', ABSENT);
    const { status } = await backup(undefined, { BACKUP_KEEPER: 'db-1' });
    expect(status.error).toContain('db-1 creates it');
    expect(calls()).not.toContain('init');
  });

  scripts('asks for a copy only once the newest backup is older than the schedule', async () => {
    snapshots(23, 50);
    expect((await backup(undefined)).status).toMatchObject({ error: null, tried: null });
    expect(calls()).not.toContain('backup --quiet');
  });

  scripts('takes a backup from the future for none: a clock that was wrong once must not end all backups', async () => {
    snapshots(-5000);
    await backup(ready());
    expect(calls()).toContain('backup --quiet');
  });

  scripts('leaves it to another pod without an error', async () => {
    const { status, log } = await backup({ state: 'skip', why: 'db-2 is chosen' });
    expect(status).toMatchObject({ error: null, tried: null });
    expect(log).toContain('db-2 is chosen');
  });

  const LOCKED = '1\nunable to create lock in backend: repository is already locked by PID 339 on db-2 by database';
  scripts.each(['snapshots', 'backup', 'forget'])(
    'waits while another pod has the repository locked: %s',
    async (call) => {
      fake(`${call}.once`, LOCKED);
      const { status } = await backup(ready(), { BACKUP_LOCKED_RETRY_SECONDS: '1' });
      expect(status).toMatchObject({ error: null, bytes: 4711 });
      expect(calls().match(new RegExp(call, 'g'))!.length).toBeGreaterThan(1);
    },
  );

  scripts('says so where the lock stays: the pod that has it may be gone', async () => {
    fake('backup', LOCKED);
    const { status } = await backup(ready(), { BACKUP_LOCKED_SECONDS: '0' });
    expect(status.error).toMatch(/already locked by PID 339 on db-2/);
  });

  scripts('removes what is not whole: files that could not be read make no backup', async () => {
    fake('backup', '3\nWarning: at least one source file could not be read');
    fake('backup.out', '{"message_type":"summary","total_bytes_processed":1,"snapshot_id":"part"}\n');
    const { status } = await backup(ready());
    expect(status).toMatchObject({ newest: null, error: expect.stringContaining('could not be read') });
    expect(calls()).toMatch(/forget part$/m);
  });

  scripts.each([
    ['a copy without a manifest', () => ({ state: 'ready', paths: [folder] }), 'has no manifest.json'],
    ['a database that has none to give', () => ({ state: 'failed', why: 'no room' }), 'no room'],
  ])('reports %s', async (_what, answer, error) => {
    const { status, log } = await backup(answer());
    expect(status.error).toContain(error);
    expect(log).toContain('trying again in 1 s');
  });

  scripts('removes old backups in one pod alone', async () => {
    snapshots(1);
    await backup(undefined, { BACKUP_KEEPER: 'db-1' });
    expect(calls()).not.toContain('forget');
  });
});

function fetch(more: Record<string, string> = {}) {
  const { status, stdout } = spawnSync('sh', [join(FILES, 'restore-fetch.sh')], {
    env: environment({ RESTORE_WAIT_SECONDS: '1', RESTORE_RETRY_SECONDS: '1', ...more }),
    encoding: 'utf8',
  });
  return { status, stdout };
}

const fetched = () => JSON.parse(fs.readFileSync(join(folder, 'stage/fetched.json'), 'utf8')).snapshots;

describe('restore-fetch.sh', () => {
  beforeEach(() => fake('stats.out', '{"total_size":1000}'));

  scripts('lays the newest backup of the database ready, and does not fetch it twice', () => {
    snapshots(30, 5, 9);
    expect(fetch().status).toBe(0);
    expect(fetched()).toMatchObject([{ host: 'db-1', path: join(folder, 'stage/db-1/data') }]);
    expect(fetch().stdout).toContain('is fetched already');
    expect(calls().match(/restore id1/g)).toHaveLength(1);
  });

  scripts('takes one of each pod where each stores its own part', () => {
    snapshots(30, 5);
    expect(fetch({ BACKUP_GROUP: 'host,tags' }).status).toBe(0);
    expect(fetched().map(({ host }: { host: string }) => host)).toEqual(['db-0', 'db-1']);
  });

  scripts('takes another repository whatever its database was called: it has no other', () => {
    snapshots(5);
    expect(fetch().status).toBe(0);
    expect(calls()).toMatch(/snapshots --json --tag \S/);
    fs.rmSync(join(folder, 'fake/calls'));
    expect(fetch({ RESTORE_FROM: 'old' }).status).toBe(0);
    expect(calls()).toMatch(/snapshots --json$/m);
    expect(calls()).not.toContain('--tag');
  });

  scripts('takes the newest at or before the time that was asked for', () => {
    snapshots(30, 5);
    expect(fetch({ RESTORE_AT: new Date(Date.now() - 10 * 3600_000).toISOString() }).status).toBe(0);
    expect(fetched()).toMatchObject([{ host: 'db-0' }]);
  });

  scripts('never starts from nothing: says what is there, and ends in a way that is not tried again', () => {
    snapshots(5);
    const { status, stdout } = fetch({ RESTORE_AT: '2001-01-01T00:00:00Z' });
    expect([status, stdout]).toEqual([
      3,
      expect.stringContaining('no backup fits (at or before 2001-01-01T00:00:00Z)'),
    ]);
    fake('cat', ABSENT);
    fake('snapshots', ABSENT);
    expect(fetch().stdout).toContain('none was stored there, or it was removed');
  });

  scripts('waits for a target that does not answer, and then ends in a way that is tried again', () => {
    fake('cat', '1\nFatal: connection refused');
    fake('snapshots', '1\nFatal: connection refused');
    expect(fetch()).toMatchObject({ status: 1, stdout: expect.stringContaining('the target does not answer') });
  });

  scripts('says how much room is missing before it fills the disk of a database', () => {
    snapshots(5);
    fake('stats.out', '{"total_size":9000000000000000}');
    expect(fetch()).toMatchObject({
      status: 3,
      stdout: expect.stringMatching(/needs \d+ MiB and a tenth more, but .* MiB free/),
    });
  });
});
