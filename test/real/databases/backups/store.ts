import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { until } from '../../cluster/processes';
import { GATEWAY } from '../../node/node';
import { runQuietly } from '../../node/processes';

const PORT = 2222;

/** A machine that keeps backups: the real sshd, on the node's address, with a host key that is known before anything is rendered. */
export class SshStore {
  private readonly folder: string;
  private sshd: ChildProcess | undefined;

  constructor(folder: string) {
    this.folder = join(folder, 'store');
    const disk = join(this.folder, 'disk');
    fs.mkdirSync(join(this.folder, 'mount'), { recursive: true });
    fs.writeFileSync(disk, '');
    fs.truncateSync(disk, 512 * 2 ** 20);
    execFileSync('mkfs.ext4', ['-q', disk]);
    execFileSync('mount', ['-o', 'loop', disk, join(this.folder, 'mount')]);
    fs.mkdirSync(join(this.folder, 'mount', 'backups'));
    // sshd requires this mode, because it enters the folder before the login.
    fs.mkdirSync('/run/sshd', { recursive: true, mode: 0o755 });
    this.makeHostKey();
  }

  /** Folder of the repositories, on a separate disk that can be filled. */
  get path(): string {
    return join(this.folder, 'mount', 'backups');
  }

  /** The first authorized line. */
  authorized = '';

  /** The target as in homelab.ts. */
  get target(): object {
    const hostKeys = [fs.readFileSync(join(this.folder, 'host.pub'), 'utf8').trim()];
    return { kind: 'sftp', host: GATEWAY, port: PORT, user: 'root', path: this.path, hostKeys };
  }

  /** Fills the disk except for 4 MiB. */
  fill(): void {
    const { bavail, bsize } = fs.statfsSync(this.path);
    execFileSync('fallocate', ['-l', String(bavail * bsize - 4 * 2 ** 20), join(this.folder, 'mount', 'ballast')]);
  }

  empty(): void {
    fs.rmSync(join(this.folder, 'mount', 'ballast'));
  }

  takeHostKeyBack(): void {
    for (const name of ['host', 'host.pub']) fs.renameSync(join(this.folder, `${name}.old`), join(this.folder, name));
  }

  makeHostKey(): void {
    for (const name of ['host', 'host.pub'])
      if (fs.existsSync(join(this.folder, name)))
        fs.renameSync(join(this.folder, name), join(this.folder, `${name}.old`));
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', '', '-f', join(this.folder, 'host')]);
  }

  /** @param authorized the line that the bootstrap shows */
  async start(authorized: string): Promise<void> {
    if (this.authorized === '') this.authorized = authorized;
    const file = (name: string) => join(this.folder, name);
    fs.writeFileSync(file('authorized_keys'), `${authorized}\n`);
    fs.writeFileSync(
      file('sshd_config'),
      [
        `ListenAddress ${GATEWAY}:${PORT}`,
        `HostKey ${file('host')}`,
        `AuthorizedKeysFile ${file('authorized_keys')}`,
        'StrictModes no',
        'PidFile none',
        'UsePAM no',
        'PasswordAuthentication no',
        'PermitRootLogin prohibit-password',
        'Subsystem sftp internal-sftp',
        '',
      ].join('\n'),
    );
    let log = '';
    this.sshd = spawn('/usr/sbin/sshd', ['-D', '-e', '-f', file('sshd_config')], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.sshd.stderr!.on('data', (text) => (log += text));
    await until(
      'sshd listens',
      20,
      async () => log.includes('Server listening'),
      () => log,
    );
  }

  /** Stops the machine, and ends open connections. */
  async stop(): Promise<void> {
    const { sshd } = this;
    if (sshd === undefined) return;
    this.sshd = undefined;
    const gone = new Promise((resolve) => sshd.once('exit', resolve));
    signalTree(sshd.pid!, 'SIGKILL');
    await gone;
  }

  /** Sends nothing, but keeps connections open. */
  freeze(): void {
    signalTree(this.sshd!.pid!, 'SIGSTOP');
  }

  thaw(): void {
    signalTree(this.sshd!.pid!, 'SIGCONT');
  }

  /** Limits the speed to 1 MB/s. @returns a function that removes the limit */
  slow(): () => void {
    const rule = `tcp dport ${PORT} limit rate over 1 mbytes/second burst 256 kbytes drop`;
    execFileSync('nft', ['-f', '-'], {
      input: `table inet slow {
  chain in {
    type filter hook input priority 0;
    ${rule}
  }
}`,
    });
    return () => execFileSync('nft', ['delete', 'table', 'inet', 'slow']);
  }

  /** Removes everything. */
  async remove(): Promise<void> {
    await this.stop();
    runQuietly('umount', join(this.folder, 'mount'));
  }
}

/** A process with all its descendants. */
function signalTree(pid: number, signal: NodeJS.Signals): void {
  const children = `/proc/${pid}/task/${pid}/children`;
  if (!fs.existsSync(children)) return;
  for (const child of fs.readFileSync(children, 'utf8').trim().split(' ').filter(Boolean))
    signalTree(Number(child), signal);
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended since it was listed.
  }
}
