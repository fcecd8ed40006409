import { createHash } from 'node:crypto';
import { until } from '../../../cluster/processes';
import type { Bench } from './bench';

const MAP = '/etc/collab-homelab/clients.map';
/** A configuration as short as it can be, of the kind that the bootstrap renders. */
const CONFIG = `global
    description abc123
    stats socket /run/haproxy/admin.sock mode 600 level admin
frontend clients
    bind 192.168.1.30:11434
    http-request set-var(txn.client) http_auth_bearer,sha2(256),hex,lower,map_str(${MAP})
    acl lists path /api/version
backend lists
    server ollama 127.0.0.1:11434
`;

/** HAProxy on the machine of `ubuntu`. What is wanted here is what haproxy 2.6.12 and socat answered to the same commands. */
export async function proxy({ run, qm, same, holds }: Bench): Promise<void> {
  await qm('start', '210');
  const there = (command: string, input?: string) =>
    run(
      'ssh',
      ['-o', 'StrictHostKeyChecking=accept-new', 'homelab@192.168.1.30', '--', `sudo sh -c '${command}'`],
      input,
    );
  await until('a login', 5, async () => (await there('true')).code === 0);
  const ask = async (input: string) =>
    (await there('socat -t 10 - UNIX-CONNECT:/run/haproxy/admin.sock', input)).stdout.replace(/0x[0-9a-f]+ /g, '');
  same('haproxy before it is installed', (await there('haproxy -c -f /etc/haproxy/haproxy.cfg 2>/dev/null')).code, 127);
  same('apt installs it', (await there('apt-get install -y haproxy socat')).code, 0);
  same('the package starts it', (await there('systemctl is-active haproxy.service')).stdout, 'active\n');
  same('and enables it', (await there('systemctl is-enabled haproxy.service')).stdout, 'enabled\n');
  same('its own configuration has no description', /description/.test(await ask('show info\n')), false);
  await there('cat >/etc/haproxy/haproxy.cfg', CONFIG);
  const missing = await there('haproxy -c -f /etc/haproxy/haproxy.cfg');
  same('a map that is not there: 1', missing.code, 1);
  holds('a map that is not there', missing.stderr, `failed to open pattern file <${MAP}>`);
  same('it is not reloaded', (await there('systemctl reload-or-restart haproxy.service')).code, 1);
  same('what runs goes on', (await there('systemctl is-active haproxy.service')).stdout, 'active\n');
  const digest = createHash('sha256').update('key-of-assistant').digest('hex');
  await there(`mkdir -p /etc/collab-homelab; cat >${MAP}`, `${digest} assistant\n`);
  same('with it', (await there('haproxy -c -f /etc/haproxy/haproxy.cfg')).stdout, 'Configuration file is valid\n');
  same('it is reloaded', (await there('systemctl reload-or-restart haproxy.service')).code, 0);
  holds('show info', await ask('show info\n'), 'Name: HAProxy\n', '\ndescription: abc123\n');
  same('show map', await ask(`show map ${MAP}\n`), `${digest} assistant\n\n`);
  same('another map', await ask('show map /nope\n'), 'Unknown map identifier. Please use #<id> or <file>.\n\n');
  same('prepare', await ask(`prepare map ${MAP}\n`), 'New version created: 1\n\n');
  same('prepare again', await ask(`prepare map ${MAP}\n`), 'New version created: 2\n\n');
  same('add', await ask(`add map @1 ${MAP} <<\ncc search\ndd proof\n\n`), '\n');
  same('not yet', await ask(`show map ${MAP}\n`), `${digest} assistant\n\n`);
  const future = "Version number in the future, please use 'prepare map' before.\n\n";
  same('add to none', await ask(`add map @9 ${MAP} <<\ncc search\n\n`), future);
  same('commit', await ask(`commit map @1 ${MAP}\n`), '\n');
  same('all at once', await ask(`show map ${MAP}\n`), 'cc search\ndd proof\n\n');
  same('commit what is empty', await ask(`commit map @2 ${MAP}\n`), '\n');
  same('nothing is left', await ask(`show map ${MAP}\n`), '\n');
  same('commit none', await ask(`commit map @7 ${MAP}\n`), 'Version number out of range.\n\n');
  await there('systemctl reload-or-restart haproxy.service');
  same('a reload reads the file', await ask(`show map ${MAP}\n`), `${digest} assistant\n\n`);
  const status = async (key: string, path = '/api/version') => {
    const lines = `url = "http://192.168.1.30:11434${path}"\nrequest = "GET"\nheader = "Authorization: Bearer ${key}"\n`;
    return (await there('curl -sS -o /dev/null -w "%{http_code}" -K -', lines)).stdout;
  };
  same('a key that is none', await status('another'), '401');
  same('a path that is none', await status('key-of-assistant', '/api/delete'), '403');
  same('no Ollama behind it', await status('key-of-assistant'), '503');
  same('stop', (await there('systemctl disable --now haproxy.service')).code, 0);
  same('it is off', (await there('systemctl is-active haproxy.service')).code, 3);
  same('nothing listens', (await there('socat -t 10 - UNIX-CONNECT:/run/haproxy/admin.sock', 'show info\n')).code, 1);
}
