import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { dirname, join } from 'node:path';

const MARK = 'SIMULATION_NAMESPACE';

/**
 * Runs the calling program again in a mount namespace of its own, where the roots of the machines can be mounted, and ends
 * with its code. In there it returns at once.
 */
export function inNamespace(): void {
  if (process.env[MARK] === '1') return;
  const asRoot = process.getuid?.() === 0 ? [] : ['--map-root-user'];
  const { status, error } = spawnSync(
    'unshare',
    [...asRoot, '--mount', '--propagation', 'private', process.execPath, ...process.execArgv, ...process.argv.slice(1)],
    { stdio: 'inherit', env: { ...process.env, [MARK]: '1' } },
  );
  if (error) throw error;
  process.exit(status ?? 1);
}

/** Taken from the system as they are, and read-only: what a shell and its programs need. */
const SHARED = [
  'bin',
  'sbin',
  'lib',
  'lib32',
  'lib64',
  'libx32',
  'usr/bin',
  'usr/sbin',
  'usr/lib',
  'usr/lib64',
  'usr/libexec',
];
const WRITABLE = [
  'etc',
  'var/tmp',
  'var/log',
  'tmp',
  'run/lock',
  'root',
  'home',
  'boot',
  'sys',
  'proc',
  'dev/shm',
  'mnt',
];
/** Without owners, who have no name in a user namespace. */
const COPY = ['cp', '-dR', '--preserve=mode,timestamps,links'];
const DEVICES = ['null', 'zero', 'full', 'random', 'urandom', 'tty'];
/** Never the real one: an absolute path must not end the machine that runs the test. */
const DANGEROUS = ['systemctl', 'reboot', 'shutdown', 'poweroff', 'halt', 'init', 'telinit'];

/** The root of a simulated machine: its own files in `data`, and the system's programs mounted around them. */
export class Root {
  constructor(
    /** What the machine writes; looks like a root itself, and is what a snapshot copies. */
    readonly data: string,
    /** Where the whole is mounted. */
    readonly mounted: string,
  ) {}

  /** Makes the files of a new machine. `proc` replaces files below /proc, where a shell reads them. */
  create(proc: Readonly<Record<string, string>>, files: Readonly<Record<string, string>>): void {
    for (const folder of [...WRITABLE, 'sim/bin', 'usr/local/bin', 'usr/share/kvm', 'usr/share/keyrings', 'usr/.share'])
      fs.mkdirSync(join(this.data, folder), { recursive: true });
    fs.chmodSync(join(this.data, 'tmp'), 0o1777);
    for (const shared of SHARED) this.mirror(shared);
    // Entry by entry, so that two of them can be the machine's own.
    for (const entry of fs.readdirSync('/usr/share'))
      if (!fs.existsSync(join(this.data, 'usr/share', entry)))
        fs.symlinkSync(`../.share/${entry}`, join(this.data, 'usr/share', entry));
    this.run([...COPY, '/usr/share/keyrings/.', join(this.data, 'usr/share/keyrings')]);
    for (const file of [
      'alternatives',
      'ld.so.cache',
      'ld.so.conf',
      'ld.so.conf.d',
      'nsswitch.conf',
      'shells',
      'services',
    ])
      if (fs.existsSync(`/etc/${file}`)) this.run([...COPY, `/etc/${file}`, join(this.data, 'etc')]);
    for (const device of DEVICES) this.write(`dev/${device}`, '');
    for (const [link, target] of [
      ['fd', ''],
      ['stdin', '/0'],
      ['stdout', '/1'],
      ['stderr', '/2'],
    ])
      fs.symlinkSync(`/proc/self/fd${target}`, join(this.data, 'dev', link!));
    this.write('run/simulation.sock', '');
    for (const [path, text] of Object.entries(proc)) this.write(`.proc/${path}`, text);
    for (const [path, text] of Object.entries(files)) this.write(path, text);
  }

  /** Writes in place, so that a file which is mounted elsewhere changes there too. */
  write(path: string, text: string, mode?: number): void {
    const target = join(this.data, path);
    fs.mkdirSync(dirname(target), { recursive: true });
    fs.writeFileSync(target, text, mode === undefined ? {} : { mode });
  }

  mount(socket: string, bin: string): void {
    const root = this.mounted;
    fs.mkdirSync(root, { recursive: true });
    const lines = [`mount --bind ${quoted(this.data)} ${quoted(root)}`];
    const bind = (source: string, target: string, readOnly = false) => {
      lines.push(`mount --rbind ${quoted(source)} ${quoted(join(root, target))}`);
      if (!readOnly) return;
      // Where a mount of the system must keep its flags, they must be named.
      const flags = ['', ',nosuid,nodev', ',nosuid,nodev,noexec'];
      lines.push(
        flags.map((more) => `mount -o remount,bind,ro${more} ${quoted(join(root, target))}`).join(' 2>/dev/null || '),
      );
    };
    for (const shared of SHARED)
      if (fs.existsSync(`/${shared}`) && !fs.lstatSync(`/${shared}`).isSymbolicLink()) bind(`/${shared}`, shared, true);
    bind('/usr/share', 'usr/.share', true);
    for (const device of DEVICES) bind(`/dev/${device}`, `dev/${device}`);
    bind('/proc', 'proc', true);
    for (const file of filesBelow(join(this.data, '.proc'))) bind(join(this.data, '.proc', file), join('proc', file));
    bind(bin, 'sim/bin');
    bind(socket, 'run/simulation.sock');
    for (const name of new Set([...fs.readdirSync(bin), ...DANGEROUS]))
      for (const folder of ['usr/bin', 'usr/sbin', ...(fs.lstatSync('/bin').isSymbolicLink() ? [] : ['bin', 'sbin'])])
        if (isOwnFile(`/${folder}/${name}`)) bind(join(bin, fs.readdirSync(bin)[0]!), join(folder, name));
    this.run(['sh', '-ec', lines.join('\n')]);
  }

  /** Covers a further file below /proc. */
  cover(file: string): void {
    this.run(['mount', '--bind', join(this.data, '.proc', file), join(this.mounted, 'proc', file)]);
  }

  unmount(): void {
    // Lazily: what still runs on the machine goes on in the root that it has.
    this.run(['umount', '--recursive', '--lazy', this.mounted]);
  }

  private mirror(path: string): void {
    const link = fs.lstatSync(`/${path}`, { throwIfNoEntry: false });
    if (link?.isSymbolicLink()) fs.symlinkSync(fs.readlinkSync(`/${path}`), join(this.data, path));
    else if (link) fs.mkdirSync(join(this.data, path), { recursive: true });
  }

  private run([program, ...args]: readonly string[]): void {
    const { status, stderr, error } = spawnSync(program!, args, { encoding: 'utf8' });
    if (status !== 0) throw new Error(`${program} for ${this.data}: ${error?.message ?? stderr}`);
  }
}

/** Only a real root can be somebody else; in a user namespace everybody is root. */
export function canChangeUser(): boolean {
  return /^\s*0\s+0\s+4294967295/m.test(fs.readFileSync('/proc/self/uid_map', 'utf8'));
}

/** What /proc/sys/kernel/random/boot_id holds: new with every boot. */
export function bootId(): string {
  return `${crypto.randomUUID()}\n`;
}

/** Changes with every change of the files of a machine, but for what a run leaves behind by the way. */
export function fingerprint(folder: string, without = ['run', 'dev', 'proc', 'sim', 'var/log', 'usr/.share']): string {
  const seen: string[] = [];
  const walk = (path: string) => {
    for (const entry of fs.readdirSync(join(folder, path), { withFileTypes: true })) {
      const name = join(path, entry.name);
      if (without.includes(name)) continue;
      if (entry.isDirectory()) walk(name);
      const { mtimeMs, size, mode, uid } = fs.lstatSync(join(folder, name));
      if (!entry.isDirectory() || !['tmp', 'var/tmp'].includes(name))
        seen.push(`${name} ${mtimeMs} ${size} ${mode} ${uid}`);
    }
  };
  walk('');
  return seen.join('\n');
}

/** A program that may be covered: one that other names share, as in busybox, is left alone. */
function isOwnFile(path: string): boolean {
  const found = fs.lstatSync(path, { throwIfNoEntry: false });
  return found !== undefined && found.isFile() && found.nlink === 1;
}

function filesBelow(folder: string): string[] {
  if (!fs.existsSync(folder)) return [];
  return fs
    .readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name).slice(folder.length + 1));
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
