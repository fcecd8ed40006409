import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { until } from '../../cluster/processes';
import { GATEWAY } from '../node';
import { runQuietly } from '../processes';

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
    // sshd goes into it before it knows who logs in, and wants it so.
    fs.mkdirSync('/run/sshd', { recursive: true, mode: 0o755 });
    this.makeHostKey();
  }

  /** Where the repositories are: a disk of its own, that can be full. */
  get path(): string {
    return join(this.folder, 'mount', 'backups');
  }

  /** The line that was let in first. */
  authorized = '';

  /** As homelab.ts has it. */
  get target(): object {
    const hostKeys = [fs.readFileSync(join(this.folder, 'host.pub'), 'utf8').trim()];
    return { kind: 'sftp', host: GATEWAY, port: PORT, user: 'root', path: this.path, hostKeys };
  }

  /** Nothing but 4 MiB is free. */
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

  /** Connections that are open end, too. */
  async stop(): Promise<void> {
    const { sshd } = this;
    if (sshd === undefined) return;
    this.sshd = undefined;
    const gone = new Promise((resolve) => sshd.once('exit', resolve));
    signalTree(sshd.pid!, 'SIGKILL');
    await gone;
  }

  /** Answers nothing, on connections that stay open. */
  freeze(): void {
    signalTree(this.sshd!.pid!, 'SIGSTOP');
  }

  thaw(): void {
    signalTree(this.sshd!.pid!, 'SIGCONT');
  }

  /** Takes 1 MB a second. @returns what makes it as fast as before */
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

  /** Takes everything away. */
  async remove(): Promise<void> {
    await this.stop();
    runQuietly('umount', join(this.folder, 'mount'));
  }
}

/** A process and all that came from it. */
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
