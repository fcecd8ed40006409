import { execFileSync, spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { Tally } from './tally';

/**
 * The package as others get it: what is in the tarball, what two judges of packages say, and the tarball in an app that
 * `cdk8s init typescript-app` made, with its tsconfig as it is.
 */
const tally = new Tally();
const scratch = fs.mkdtempSync(join(tmpdir(), 'package-'));
const { name, version, exports } = JSON.parse(fs.readFileSync('package.json', 'utf8'));
const entries: string[] = Object.keys(exports).filter((entry) => exports[entry].types !== undefined);

function run(command: string, args: readonly string[], cwd: string) {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd, encoding: 'utf8', timeout: 300_000 });
  return { status, output: `${stdout}${stderr}` };
}

function filesBelow(folder: string): string[] {
  const entries = fs.readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return entries.map((entry) => join(entry.parentPath ?? entry.path, entry.name));
}

try {
  // 1. The tarball: each source file of the rooms that the package has, compiled, what runs in pods and what API servers do as they stand, and four files.
  execFileSync('npm', ['pack', '--silent', '--pack-destination', scratch], { stdio: ['ignore', 'ignore', 'inherit'] });
  const tarball = join(scratch, `${name}-${version}.tgz`);
  const packed = execFileSync('tar', ['tzf', tarball]).toString().trim().split('\n').sort();
  const rooms = ['constructs', 'inventory', 'charts', 'checks', 'synth', 'values'];
  const sources = [...rooms.flatMap(filesBelow), ...fs.readdirSync('imports').map((file) => `imports/${file}`)].filter(
    (file) => file.endsWith('.ts'),
  );
  // Types alone reach a user as a declaration; a file that only has types compiles to nothing that is loaded.
  const expected = [
    'package/CHANGELOG.md',
    'package/LICENSE',
    'package/README.md',
    'package/package.json',
    ...sources.flatMap((file) =>
      ['d.ts', 'js', 'js.map'].map((suffix) => `package/lib/${file.replace(/ts$/, suffix)}`),
    ),
    ...['constructs/files', 'checks/step/api-server/data'].flatMap(filesBelow).map((file) => `package/lib/${file}`),
  ].sort();
  tally.check(
    'the tarball holds the compiled rooms, the files of pods and nothing else',
    JSON.stringify(packed) === JSON.stringify(expected),
    [...packed.filter((file) => !expected.includes(file)), ...expected.filter((file) => !packed.includes(file))].join(
      '\n',
    ),
  );
  const scripts = Object.keys(JSON.parse(fs.readFileSync('package.json', 'utf8')).scripts);
  tally.check(
    'nothing runs when it is installed',
    !scripts.some((script) => /^(pre|post)?install$|^prepare$/.test(script)),
  );
  console.log(`${packed.length} files, ${Math.round(fs.statSync(tarball).size / 1024)} KiB`);

  // 2. The judges.
  const bin = (command: string) => resolve('node_modules', '.bin', command);
  const publint = run(bin('publint'), ['--strict', tarball], scratch);
  tally.check(
    'publint has nothing to say',
    publint.status === 0 && !/Suggestions|Warnings|Errors/.test(publint.output),
    publint.output,
  );
  const attw = run(bin('attw'), [tarball], scratch);
  tally.check(
    'arethetypeswrong finds each entry point right in every kind of resolution',
    attw.status === 0,
    attw.output,
  );

  // 3. An app as cdk8s makes it. Its last step imports the Kubernetes API from the network; the app is there without it.
  const app = join(scratch, 'shop');
  fs.mkdirSync(app);
  run(process.execPath, [resolve('node_modules/cdk8s-cli/bin/cdk8s'), 'init', 'typescript-app'], app);
  tally.check('cdk8s init made an app', fs.existsSync(join(app, 'node_modules', 'cdk8s')));
  const installed = run('npm', ['install', '--no-audit', '--no-fund', tarball], app);
  tally.check(
    'npm install takes the tarball, and brings the peers',
    installed.status === 0 && fs.existsSync(join(app, 'node_modules', 'cdk8s-plus-28')),
    installed.output,
  );
  tally.check(
    'there is one copy of constructs',
    run('npm', ['ls', '--all', '--parseable', 'constructs'], app)
      .output.trim()
      .split('\n')
      .filter((line) => line.endsWith('constructs')).length === 1,
  );
  // The template's test wants an imported Kubernetes API; ours is the app.
  fs.rmSync(join(app, 'main.test.ts'), { force: true });

  const write = (text: string) => fs.writeFileSync(join(app, 'main.ts'), text);
  const example = fs.readFileSync('examples/plain-app/main.ts', 'utf8');
  const cdk8s = (...args: readonly string[]) =>
    run(
      process.execPath,
      [join(app, 'node_modules/cdk8s-cli/bin/cdk8s'), 'synth', '--check-upgrade=false', ...args],
      app,
    );

  write(
    `${example}\nimport * as inventory from 'collab-homelab/inventory';\nimport * as charts from 'collab-homelab/charts';\nimport * as checks from 'collab-homelab/checks';\nif (!inventory.defineHomelab || !charts.homelabApp || checks.checks.length === 0) throw new Error('an entry point is empty');\n`,
  );
  const tsc = run(process.execPath, [join(app, 'node_modules/typescript/bin/tsc'), '--noEmit'], app);
  tally.check(
    'it compiles with the tsconfig as it is: every entry point, node10 resolution, no skipLibCheck',
    tsc.status === 0,
    tsc.output,
  );
  const synth = cdk8s();
  const documents = fs.existsSync(join(app, 'dist'))
    ? fs.readdirSync(join(app, 'dist')).flatMap((file) => {
        const all = parseAllDocuments(fs.readFileSync(join(app, 'dist', file), 'utf8'));
        return 'length' in all ? all.map((document) => document.toJS()) : [];
      })
    : [];
  const kinds = new Set(documents.map(({ kind, metadata }) => `${kind} ${metadata.name}`));
  tally.check(
    'plain cdk8s synth renders all four constructs, connected',
    synth.status === 0 &&
      [
        'StatefulSet cassandra-r1',
        'StatefulSet mongodb',
        'Deployment orders',
        'EndpointSlice llm-service',
        'Ingress shop',
      ].every((each) => kinds.has(each)) &&
      JSON.stringify(documents).includes('CASSANDRA_CONTACT_POINTS'),
    synth.output,
  );
  console.log(`${documents.length} objects in an app of ${example.split('\n').length} lines`);

  // What the README shows, word by word.
  const readme = fs.readFileSync('README.md', 'utf8');
  const shown = /## In an app of your own[^]*?```ts\n([^]*?)```/.exec(readme)?.[1] ?? '';
  write(shown);
  const newcomer = cdk8s();
  const written = fs.readdirSync(join(app, 'dist')).map((file) => fs.readFileSync(join(app, 'dist', file), 'utf8'));
  tally.check(
    'the app of the README renders a connected Cassandra and service',
    newcomer.status === 0 &&
      written.join().includes('CASSANDRA_CONTACT_POINTS') &&
      written.join().includes('cassandra-r3'),
    newcomer.output,
  );

  // The same in an empty folder, with nothing but what the README says.
  const commands = /## In an app of your own[^]*?```\n([^]*?)```/.exec(readme)?.[1] ?? 'exit 1';
  const empty = join(scratch, 'empty');
  fs.mkdirSync(empty);
  fs.writeFileSync(join(empty, 'main.ts'), shown);
  const steps = commands.replace('npm install collab-homelab', `npm install ${tarball}`);
  const prepared = run('sh', ['-e', '-c', steps], empty);
  const emptySynth = run('npx', ['--no-install', 'cdk8s', 'synth'], empty);
  tally.check(
    'npx cdk8s synth works in an empty folder, with what the README says',
    prepared.status === 0 &&
      emptySynth.status === 0 &&
      fs.readFileSync(join(empty, 'dist/shop.k8s.yaml'), 'utf8').includes('CASSANDRA_CONTACT_POINTS'),
    prepared.output + emptySynth.output,
  );
  const types = run('npx', ['--no-install', 'tsc', '--noEmit'], empty);
  tally.check('and it compiles there, with every declaration that it loads', types.status === 0, types.output);

  // 4. As an ES module.
  const names = entries.map((entry, index) => `import * as e${index} from '${name}${entry.slice(1)}';`).join('\n');
  fs.writeFileSync(
    join(app, 'module.mjs'),
    `${names}\nimport { CassandraStatefulSet, MicroserviceDeployment } from '${name}';\nimport { checkApp } from '${name}/synth';\nconsole.log(typeof CassandraStatefulSet, typeof MicroserviceDeployment, typeof checkApp, [${entries.map((_, index) => `Object.keys(e${index}).length`).join(', ')}].every((count) => count > 0));\n`,
  );
  const esm = run(process.execPath, ['module.mjs'], app);
  tally.check(
    'an ES module imports every entry point by name',
    esm.output.trim() === 'function function function true',
    esm.output,
  );

  // 5. What is wrong is refused by plain cdk8s synth.
  const refused = (what: string, text: string, said: string) => {
    write(text);
    const { status, output } = cdk8s();
    tally.check(what, status === 1 && output.includes(said), output);
    console.log(
      output
        .split('\n')
        .find((line) => line.includes(said))
        ?.trim() ?? `(not said: ${said})`,
    );
  };
  refused(
    'charts without a namespace: an error that says how to give one',
    example.replace(", { namespace: 'apps', disableResourceNameHashes: true }", ''),
    "a namespace must be known, got nothing; give the construct a `namespace`, or its chart: new Chart(app, 'apps', { namespace: 'apps' })",
  );
  refused(
    'a keyspace with more copies than nodes',
    example.replace(
      "clusterName: 'shop',",
      "clusterName: 'shop', racks: ['r1'], keyspaces: { stock: { replicationFactor: 3 } },",
    ),
    'the replication factor of stock must be between 1 and the number of nodes, got 3',
  );
  const disks = "DataStorage.localDisks(Size.gibibytes(20), { nodeOf: () => 'worker-1' })";
  refused(
    'disks that nobody renders as volumes, found by a validation',
    example
      .replace("DataStorage.storageClass(Size.gibibytes(20), 'standard')", disks)
      .replace('checkApp(app);', 'void checkApp;'),
    'the disk of claim data-cassandra-r1-0 must be rendered as a volume',
  );
  refused(
    'two objects of one name, found by the one line checkApp(app)',
    example.replace(
      'checkApp(app);',
      "new MicroserviceDeployment(new Chart(app, 'more', { namespace: 'apps' }), 'orders', { image: 'a:1' });\ncheckApp(app);",
    ),
    'is rendered twice: by',
  );
  write(example.replace("namespace: 'data'", "namespace: 'apps'"));
  const together = cdk8s();
  tally.check('one namespace for everything is fine', together.status === 0, together.output);
} finally {
  fs.rmSync(scratch, { recursive: true });
  fs.rmSync(join(dirname(resolve('package.json')), `${name}-${version}.tgz`), { force: true });
}
tally.close();
