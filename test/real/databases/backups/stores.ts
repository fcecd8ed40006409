import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Chart, Testing } from 'cdk8s';
import { BackupTarget, type S3Target } from '../../../../constructs';
import { DatabaseBackup } from '../../../../constructs/backup';
import { until } from '../../cluster/processes';
import { built } from '../../modules';
import type { Tally } from '../../tally';

const MODULE = resolve(__dirname, 'go/rclone');
const FILES = resolve(__dirname, '../../../../constructs/files');
const DAY = 86_400_000;

/** An S3 server for a folder. The one in Debian is too old. */
export function rclone(): string {
  return built(MODULE, 'github.com/rclone/rclone', 'github.com/rclone/rclone', 'rclone', []);
}

/** Runs the script of the container `backup` with rendered variables and without a database. The test answers instead of it. */
class Store {
  readonly handover: string;
  private child: ChildProcess | undefined;
  log = '';

  constructor(
    readonly folder: string,
    private readonly env: Readonly<Record<string, string>>,
  ) {
    this.handover = join(folder, 'handover');
    for (const each of ['handover', 'work', 'copy']) fs.mkdirSync(join(folder, each), { recursive: true });
    fs.writeFileSync(join(folder, 'copy', 'manifest.json'), '{}');
    fs.writeFileSync(join(folder, 'password'), 'a password');
  }

  /** Rendered variables for a target. */
  static of(folder: string, target: BackupTarget, more: Readonly<Record<string, string>>): Store {
    const backup = new DatabaseBackup(new Chart(Testing.app(), 'db', { namespace: 'db' }), 'backup', {
      backup: { target },
      name: 'db',
      namespace: 'db',
      labels: {},
      dataPath: '/data',
      keeper: 'db-0',
      group: 'tags',
    });
    const rendered = backup.container().env!.flatMap(({ name, value }) => (value === undefined ? [] : [[name, value]]));
    return new Store(folder, { ...Object.fromEntries(rendered), ...more });
  }

  private environment(): Record<string, string> {
    return {
      PATH: process.env.PATH!,
      ...this.env,
      BACKUP_POD: 'db-0',
      RESTIC_PASSWORD_FILE: join(this.folder, 'password'),
      HANDOVER: this.handover,
      WORK: join(this.folder, 'work'),
      FILES,
    };
  }

  restic(...command: string[]): string {
    return execFileSync('restic', ['--no-cache', '-q', ...command], { env: this.environment(), encoding: 'utf8' });
  }

  /** Runs the container's script until it reports its result. */
  async once(): Promise<{ newest: string | null; error: string | null }> {
    fs.rmSync(join(this.handover, 'status.json'), { force: true });
    this.child = spawn('sh', [join(FILES, 'backup.sh')], {
      env: this.environment(),
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.child.stdout!.on('data', (text) => (this.log += text));
    const request = join(this.handover, 'request');
    await until(
      'the script tells what it did',
      120,
      async () => {
        if (fs.existsSync(request)) {
          const { id } = JSON.parse(fs.readFileSync(request, 'utf8'));
          fs.writeFileSync(
            join(this.handover, 'answer'),
            JSON.stringify({ id, state: 'ready', paths: [join(this.folder, 'copy')] }),
          );
        }
        return fs.existsSync(join(this.handover, 'status.json'));
      },
      () => this.log,
    );
    const status = JSON.parse(fs.readFileSync(join(this.handover, 'status.json'), 'utf8'));
    const gone = new Promise((done) => this.child!.once('close', done));
    this.child.kill('SIGTERM');
    await gone;
    return status;
  }
}

/** Checks which backups of 200 days the defaults of `keep` retain. */
async function retention(folder: string, tally: Tally): Promise<void> {
  const target = join(folder, 'target');
  fs.mkdirSync(target, { recursive: true });
  const store = Store.of(folder, BackupTarget.claim('c'), {
    RESTIC_REPOSITORY: join(target, 'db'),
    BACKUP_PARENT: target,
  });
  await store.once();
  const now = Date.now();
  for (let day = 200; day > 0; day -= day > 70 ? 5 : 1) {
    const at = new Date(now - day * DAY).toISOString();
    fs.writeFileSync(join(folder, 'copy', 'data'), at);
    store.restic(
      'backup',
      '--host',
      'db-0',
      '--tag',
      'db',
      '--time',
      at.slice(0, 19).replace('T', ' '),
      join(folder, 'copy'),
    );
  }
  fs.rmSync(join(folder, 'work', 'forgotten'));
  await store.once();
  const ages = (JSON.parse(store.restic('snapshots', '--json')) as { time: string }[])
    .map(({ time }) => Math.round((now - Date.parse(time)) / DAY))
    .sort((one, other) => one - other);
  const within = (from: number, to: number) => ages.filter((age) => age >= from && age <= to).length;
  const kept = `days ago: ${ages.join(', ')}`;
  console.log(`  kept, in ${kept}`);
  tally.check('the last 7 days are kept', within(0, 6) >= 7, kept);
  tally.check('of the last 4 weeks one each', within(7, 28) >= 3 && within(7, 28) <= 5, kept);
  tally.check(
    'of 6 months one each, and nothing older',
    within(29, 200) >= 4 && within(29, 200) <= 6 && ages.at(-1)! <= 190,
    kept,
  );
}

/** A store that speaks S3: rclone serves a folder. */
async function s3(folder: string, tally: Tally): Promise<void> {
  const target = join(folder, 'buckets');
  fs.mkdirSync(join(target, 'homelab'), { recursive: true });
  const serve = async () => {
    const server = spawn(rclone(), ['serve', 's3', target, '--addr', '127.0.0.1:9444', '--auth-key', 'access,secret'], {
      stdio: 'ignore',
    });
    await until(
      'the store answers',
      20,
      async () => (await fetch('http://127.0.0.1:9444').catch(() => undefined)) !== undefined,
    );
    return async () => {
      const gone = new Promise((done) => server.once('exit', done));
      server.kill('SIGKILL');
      await gone;
    };
  };
  const props: S3Target = { endpoint: 'http://127.0.0.1:9444', bucket: 'homelab', prefix: 'night', insecure: true };
  const keys = { AWS_ACCESS_KEY_ID: 'access', AWS_SECRET_ACCESS_KEY: 'secret' };
  const store = Store.of(folder, BackupTarget.s3(props), keys);
  let stop = await serve();
  const first = await store.once();
  tally.check(
    'an S3 store is made ready and filled',
    first.error === null && first.newest !== null,
    JSON.stringify(first),
  );
  store.restic('restore', 'latest', '--target', join(folder, 'restored'), '--verify');
  const file = join(folder, 'restored', folder, 'copy', 'manifest.json');
  tally.check('and gives back what was stored', fs.readFileSync(file, 'utf8') === '{}', file);
  const other = Store.of(folder, BackupTarget.s3(props), { ...keys, AWS_SECRET_ACCESS_KEY: 'wrong' });
  const refused = await other.once();
  tally.check(
    'wrong keys are reported',
    /denied|signature|forbidden|403/i.test(refused.error ?? ''),
    JSON.stringify(refused),
  );
  await stop();
  const away = await store.once();
  tally.check('a store that is away is reported', /refused/.test(away.error ?? ''), JSON.stringify(away));
  stop = await serve();
  const back = await store.once();
  tally.check(
    'and is used again once it answers, as it was',
    back.error === null && back.newest === first.newest,
    JSON.stringify([first, back]),
  );
  await stop();
}

/** Stores of backups without a database. */
export async function stores(tally: Tally): Promise<void> {
  const folder = fs.mkdtempSync(join(tmpdir(), 'stores-'));
  try {
    await retention(join(folder, 'retention'), tally);
    await s3(join(folder, 's3'), tally);
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}
