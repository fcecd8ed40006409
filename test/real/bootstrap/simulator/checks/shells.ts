import * as fs from 'node:fs';
import { join } from 'node:path';
import { HOST, type Bench } from './bench';

/** What the host does with a command line over SSH. */
export async function shells(bench: Bench): Promise<void> {
  const { tally, run, onHost, same, holds, simulation } = bench;
  const odd = `a  b'c"d $HOME \`x\` \\ * \n é`;
  const quoted = `'${odd.replaceAll("'", `'\\''`)}'`;
  same('an argument arrives as it is', (await onHost(`printf %s ${quoted}`)).stdout, odd);
  same(
    'without quotes the remote shell splits',
    (await run('ssh', [`root@${HOST}`, 'printf', '%s.', 'a  b'])).stdout,
    'a.b.',
  );
  same('input arrives', (await onHost('cat', 'one\ntwo')).stdout, 'one\ntwo');
  same(
    'a script is read from the input',
    (await onHost('bash -s -- x', 'echo "$1" "$(hostname -f 2>/dev/null || cat /etc/hostname)"')).code,
    0,
  );
  same('an exit code arrives', (await onHost('exit 7')).code, 7);
  const began = Date.now();
  await onHost('sleep 600; true');
  tally.check('sleep costs no time', Date.now() - began < 2000);
  const many = Date.now();
  for (let count = 0; count < 10; count++) await run('ping', ['-c', '1', HOST]);
  tally.check('a call is quick', Date.now() - many < 500, `${(Date.now() - many) / 10} ms`);
  holds('the system is read-only', (await onHost('touch /usr/bin/x')).stderr, 'Read-only file system');
  same(
    'some folders are not',
    (await onHost('touch /usr/local/bin/x /usr/share/kvm/y /usr/share/keyrings/z /etc/w')).code,
    0,
  );
  same('its files are in its folder', fs.existsSync(join(simulation.files('host'), 'etc/w')), true);
  tally.check('the call is known to change', simulation.calls.at(-1)!.changing === true);
  await onHost('cat /etc/w');
  tally.check('one that reads is not', simulation.calls.at(-1)!.changing === false);
  same('another address does not answer', (await run('ssh', ['root@192.168.1.99', 'true'])).code, 255);
  same('another user may not', (await run('ssh', [`nobody@${HOST}`, 'true'])).code, 255);
  same('a program that is not there', (await onHost('no-such-program')).code, 127);
  same('and the test sees it', simulation.unexpected.splice(0), ['host: no program no-such-program']);
  holds('kernel options are those of the machine', (await onHost('cat /proc/cmdline')).stdout, 'pve-root');
}
