import * as fs from 'node:fs';
import { join, resolve } from 'node:path';
import type { StandIn } from '../node/stand-in';
import type { DatabasePrograms } from './binaries';

const HERE = resolve(__dirname, 'image');
const read = (file: string) => fs.readFileSync(join(HERE, file), 'utf8');
const programs = (...names: readonly string[]) =>
  Object.fromEntries(names.map((name) => [`/usr/local/bin/${name}`, read(`bin/${name}`)]));
const USERS = 'root:x:0:0:root:/root:/bin/sh\n';
/** Places of a program in the root file system and in /usr/local. */
const placesOf = (...names: readonly string[]) =>
  names.flatMap((name) => [`/usr/bin/${name}`, `/usr/local/bin/${name}`]);
const PATH = '/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Version before an upgrade. */
export const OLDER_CASSANDRA = '5.0.6';

function cassandra({ cqlsh }: DatabasePrograms, lib: string): StandIn {
  return {
    files: {
      ...programs('cassandra', 'nodetool', 'cqlsh', 'sstableloader'),
      '/etc/cassandra/jvm17-server.options': read('conf/jvm17-server.options'),
      '/etc/cassandra/logback-tools.xml': read('conf/logback-tools.xml'),
      '/etc/passwd': `${USERS}cassandra:x:999:999::/var/lib/cassandra:/bin/sh\n`,
    },
    mounts: { '/opt/cassandra/lib': lib, '/opt/cqlsh': cqlsh },
    env: { PATH, CASSANDRA_CONF: '/etc/cassandra', LANG: 'C.UTF-8' },
    lacks: placesOf('curl', 'jq', 'restic', 'ssh'),
  };
}

/**
 * The whole table of substitutions: which image becomes what. The rest of a pod is what its manifest says. A root file system
 * that is this machine's has more programs than the image: a script that uses one which the image lacks is found out where `lacks`
 * names it.
 */
export function standIns(found: DatabasePrograms): Readonly<Record<string, StandIn>> {
  return {
    'docker.io/library/cassandra': cassandra(found, found.cassandra),
    // Fetched where a test asks for it.
    get [`docker.io/library/cassandra:${OLDER_CASSANDRA}`]() {
      return cassandra(found, found.cassandraOf(OLDER_CASSANDRA));
    },
    'docker.io/library/mongo': {
      files: {
        ...programs('mongosh'),
        '/etc/passwd': `${USERS}mongodb:x:999:999::/data/db:/bin/sh\n`,
      },
      mounts: {
        '/usr/local/bin/mongod': found.mongod,
        '/usr/local/bin/node': process.execPath,
        '/opt/mongosh': found.mongosh,
      },
      env: { PATH, GLIBC_TUNABLES: 'glibc.pthread.rseq=0' },
      lacks: placesOf('python3', 'curl', 'restic', 'ssh'),
    },
    // restic, ssh and jq are this machine's; so is sh, which knows no more than the busybox of the image.
    'docker.io/restic/restic': {
      files: { '/etc/passwd': USERS },
      mounts: {},
      env: { PATH },
      lacks: placesOf('python3', 'curl', 'bash', 'node'),
    },
  };
}
