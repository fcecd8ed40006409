import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { published } from '../../synth/publish';
import { Tally } from './tally';
import { sameFiles, Workspace } from './workspace';

/** `cdk8s synth` as an owner types it: what it writes, what it leaves alone, and what it says of ten broken homelabs. */
const workspace = new Workspace();
const tally = new Tally();

function cdk8s(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const program = [join('node_modules', 'cdk8s-cli', 'bin', 'cdk8s'), 'synth', '--check-upgrade=false', ...args];
  const { status, stdout, stderr } = spawnSync(process.execPath, program, {
    cwd: workspace.path,
    env: { ...process.env, ...env },
    encoding: 'utf8',
    timeout: 60_000,
  });
  return { status, stdout, stderr };
}

/** From homelab.ts as it is to one that is wrong, and what is said of it. */
const BROKEN: readonly (readonly [from: string, to: string, said: string])[] = [
  ['memory: Size.gibibytes(32)', 'memory: 32 as any', 'machines.ai-vm.memory must be a Size of at least 1 KiB, got 32'],
  ['memory: Size.gibibytes(32)', 'memory: Size.gibibytes(NaN)', 'machines.ai-vm.memory must be a Size'],
  ["address: '192.168.1.30'", "address: '192.168.2.30'", 'machines.ai-vm.address must lie within network.cidr'],
  ["address: '192.168.1.30'", "address: '192.168.1.21'", 'which machines.talos-worker-01.address has'],
  ['port: 11434', 'port: 114340', 'llm.port must be a port, got 114340'],
  ["{ model: 'chat' }", "{ model: 'vision' }", 'must be a model of this homelab, got "vision"'],
  ["{ service: 'search' }", "{ service: 'serach' }", 'must be another service of this homelab, got "serach"'],
  [
    "labels: { 'storage-type': 'cassandra' }",
    "labels: { 'storage-type': 'cassandra', 'node-role.kubernetes.io/db': '' }",
    'must be a label that a node may set on itself',
  ],
  ["'mongodb-1': Size.gibibytes(100),", '', 'databases.mongodb must have a data disk for each pod'],
  ['memory: Size.gibibytes(5)', 'memory: Size.gibibytes(8)', 'the pods of talos-worker-01 request'],
  ['members: 3', 'members: 4', 'members must be an odd number while all of them vote, got 4'],
  ["name: 'collab',", "name: 'collab', colour: 'red',", 'colour must be a known property'],
  ['memory: Size.gibibytes(5)', 'memory: Size.gibibytes(-5)', 'Storage amounts cannot be negative. Received: -5'],
  ['memory: Size.gibibytes(5)', 'memory: Size.gibbytes(5)', 'is not a function'],
  [
    "racks: ['r1', 'r2', 'r3']",
    "racks: ['r1', , 'r3']",
    'databases.cassandra.racks[1] must be a value, got "a hole in the list"',
  ],
];

/** A line of a stack, of Node's or the CLI's. */
const STACK = /^\s+at .*:\d+:\d+\)?$/m;

try {
  const before = workspace.dist();
  const unchanged = () => sameFiles(before, workspace.dist());

  const again = cdk8s([], {
    TZ: 'Pacific/Kiritimati',
    LANG: 'tr_TR.UTF-8',
    LC_ALL: 'tr_TR.UTF-8',
    CDK8S_DISABLE_SORT: '1',
  });
  tally.check(
    'another time zone, language and CDK8S_DISABLE_SORT write the same bytes',
    again.status === 0 && again.stderr.includes('nothing changed') && unchanged(),
    again.stderr,
  );

  for (const [from, to, said] of BROKEN) {
    workspace.edit(from, to);
    const { status, stderr } = cdk8s([]);
    tally.check(
      `homelab.ts with ${to || `no ${from}`} is refused`,
      status === 1 && stderr.includes(said) && !STACK.test(stderr) && unchanged(),
      stderr,
    );
    console.log(stderr.split('\n').find((line) => line.includes(said)) ?? stderr);
  }

  workspace.edit('memory: Size.gibibytes(32)', 'memory: 32');
  const tsc = spawnSync(process.execPath, [join('node_modules', 'typescript', 'bin', 'tsc'), '--noEmit'], {
    cwd: workspace.path,
    encoding: 'utf8',
    timeout: 120_000,
  });
  tally.check('32 instead of Size.gibibytes(32) does not compile', /homelab\.ts.*TS2322/.test(tsc.stdout), tsc.stdout);

  workspace.edit('chat: { connects: [{ cassandra', 'chat: { memory: Size.mebibytes(512), connects: [{ cassandra');
  const more = cdk8s([]);
  const changed = [...workspace.dist()].filter(([path, text]) => before.get(path) !== text);
  const lines = changed.flatMap(([path, text]) => {
    const was = before.get(path)!.split('\n');
    return text.split('\n').filter((line, index) => line !== was[index]);
  });
  tally.check(
    'one number in homelab.ts changes that number and the quota that follows from it: four lines in two files',
    more.status === 0 && changed.length === 2 && lines.length === 4,
    `${more.stderr}${changed.map(([path]) => path).join(' ')}\n${lines.join('\n')}`,
  );
  workspace.restore(before);
  workspace.edit('', '');

  const elsewhere = cdk8s(['-o', 'elsewhere']);
  tally.check(
    '-o DIR writes there and publishes nothing',
    elsewhere.status === 0 && unchanged() && sameFiles(before, published(join(workspace.path, 'elsewhere'))),
    elsewhere.stderr,
  );

  const { status, stdout } = cdk8s(['--stdout']);
  const documents = parseAllDocuments(stdout);
  tally.check(
    '--stdout is one stream of as many documents as there are files',
    status === 0 && unchanged() && 'length' in documents && documents.length === before.size,
    `${'length' in documents ? documents.length : 0} documents, ${before.size} files`,
  );

  const overDist = cdk8s(['-o', 'dist']);
  tally.check(
    '-o dist is refused with the command that brings dist/ back',
    overDist.status === 1 && overDist.stderr.includes('git checkout -- dist') && !STACK.test(overDist.stderr),
    overDist.stderr,
  );
  tally.check('and leaves nothing half written', !fs.existsSync(join(workspace.path, 'dist')));
} finally {
  workspace.remove();
}
tally.close();
