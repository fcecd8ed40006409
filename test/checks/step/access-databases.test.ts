import { Size } from 'cdk8s';
import { Cpu } from 'cdk8s-plus-28';
import { planStep } from '../../../checks/step';
import { edited, stateOf, type Change } from './states';

/** The plan of a step between two homelabs: its lines for more access and for less access. */
function said(after: Change, before: Change = () => undefined) {
  const { risks, notes } = planStep({ before: stateOf(before), after: stateOf(after) }, 'HEAD');
  return {
    more: risks.filter(({ verdict }) => verdict === 'access').map(({ what, from, to }) => `${what}: ${from} -> ${to}`),
    less: notes.filter((note) => note.startsWith('Less access: ')).map((note) => note.slice('Less access: '.length)),
    waits: risks.filter(({ verdict }) => verdict === 'not-deployed').map(({ what }) => what),
  };
}

describe('logins of databases', () => {
  const search =
    (...connects: readonly object[]): Change =>
    (h) =>
      void (h.services.search.connects = connects);
  const mongodb = (database: string, access?: string | readonly string[]) => ({
    mongodb: 'mongodb',
    database,
    ...(access && { access }),
  });
  const cassandra = (keyspace: string, access?: string) => ({
    cassandra: 'cassandra',
    keyspace,
    ...(access && { access }),
  });

  test.each([
    ['MongoDB', mongodb('search', 'read'), mongodb('search'), 'search of mongodb/mongodb', 'search'],
    ['Cassandra', cassandra('chat', 'read'), cassandra('chat'), 'search of cassandra/cassandra', 'chat'],
  ])('of %s that may write what it could read, and the reverse', (_, reads, writes, login, own) => {
    expect(said(search(writes), search(reads))).toMatchObject({
      more: [`${login}.rights: read ${own} -> read and write ${own}`],
      less: [],
    });
    expect(said(search(reads), search(writes))).toMatchObject({
      more: [],
      less: [`the login ${login} may no longer write ${own}.`],
    });
    expect(said(search(writes), search(writes))).toMatchObject({ more: [], less: [] });
  });

  test('of MongoDB that get a further role, or lose it', () => {
    const [less, more] = [mongodb('search'), mongodb('search', ['readWrite', 'dbAdmin'])];
    expect(said(search(more), search(less))).toMatchObject({
      more: ['search of mongodb/mongodb.rights: not act as dbAdmin on search -> act as dbAdmin on search'],
      less: [],
    });
    expect(said(search(less), search(more))).toMatchObject({
      more: [],
      less: ['the login search of mongodb/mongodb may no longer act as dbAdmin on search.'],
    });
    const others = said(search(mongodb('identity', 'dbOwner'))).more.filter((line) => line.includes('.rights: '));
    expect(others).toEqual([
      'search of mongodb/mongodb.rights: not act as dbOwner on identity -> act as dbOwner on identity',
    ]);
  });

  test('that gain access to data of others, and lose access to their own', () => {
    expect(said(search(mongodb('identity', 'read')), search(mongodb('search')))).toMatchObject({
      more: ['search of mongodb/mongodb.rights: nothing in identity -> read identity'],
      less: ['the login search of mongodb/mongodb may no longer read and write search.'],
    });
  });

  test('that are new are reported only by their secret if nobody else uses their data', () => {
    const rights = (keyspace: string) =>
      said(search(cassandra(keyspace))).more.filter((line) => line.includes('.rights: '));
    expect(rights('presence')).toEqual(['search of cassandra/cassandra.rights: no login -> read and write presence']);
    expect(rights('index')).toEqual([]);
  });

  test('that are dropped; a retired database drops none', () => {
    expect(said(search(), search(mongodb('search'))).less).toContain('the login search of mongodb/mongodb is dropped.');
    const unused: Change = (h) => {
      for (const service of Object.values<any>(h.services))
        service.connects = service.connects.filter((each: any) => !each.mongodb);
    };
    const logins = (change: Change) => said(change).less.filter((line) => line.startsWith('the login'));
    expect(logins(unused)).toHaveLength(5);
    const retired: Change = (h) => {
      unused(h);
      h.databases.mongodb.state = 'retired';
    };
    expect(logins(retired)).toEqual([]);
  });

  test('are reported at the file that declares them', () => {
    const step = { before: stateOf(search(mongodb('search', 'read'))), after: stateOf(search(mongodb('search'))) };
    const { risks, changes } = planStep(step, 'HEAD');
    expect(risks).toEqual([
      expect.objectContaining({
        objects: ['/ConfigMap mongodb/mongodb-users'],
        path: 'data[users.json]',
        problem: 'The login search of mongodb/mongodb may newly write search.',
      }),
    ]);
    expect(changes.find(({ id }) => id === '/ConfigMap mongodb/mongodb-users')?.verdict).toBe('access');
  });

  test('ignores a file that is not JSON', () => {
    const step = edited(stateOf(), ({ kind, metadata, data }) => {
      if (kind === 'ConfigMap' && metadata.name === 'mongodb-users') data['users.json'] = '{';
    });
    expect(planStep(step, 'HEAD').risks).toEqual([]);
    expect(planStep({ before: step.after, after: step.before }, 'HEAD').risks).toEqual([]);
  });
});

describe('copies of databases', () => {
  const key = (end: string) => `ssh-ed25519 AAAA${end}`;
  const sftp = {
    kind: 'sftp',
    host: '192.168.1.50',
    user: 'backup',
    path: '/backup',
    hostKeys: [key('a')],
  };
  const s3 = { kind: 's3', endpoint: 'https://s3.example.org', bucket: 'homelab', networks: ['203.0.113.0/24'] };
  const nfs = { kind: 'nfs', server: '192.168.1.60', path: '/export/' };
  const to =
    (target: object | undefined): Change =>
    (h) => {
      for (const database of ['cassandra', 'mongodb']) h.databases[database].backup = false;
      if (target) h.databases.mongodb.backup = { target, sameHost: 'for a test only' };
    };
  const at = (host: string, more = '/backup/mongodb as backup') => `sftp:${host}:22:${more}`;
  const moved = (after: object, before: object) => said(to(after), to(before)).more;

  test('that are new report their target, the login that pods read and the machine that they reach', () => {
    const { more, waits } = said(to(sftp), to(undefined));
    expect(more).toEqual(
      expect.arrayContaining([
        'mongodb.egress: not permitted -> 192.168.1.50/32 at TCP 22',
        `mongodb/mongodb.copies: no copies -> ${at('192.168.1.50')}`,
        'mongodb/mongodb.secrets: not read -> mongodb-backup',
      ]),
    );
    // The StatefulSet creates the claim for the files of a restore.
    expect(waits).toEqual([]);
  });

  test.each<[string, object, object, readonly string[]]>([
    [
      'another machine',
      sftp,
      { ...sftp, host: '192.168.1.60' },
      [
        'mongodb.egress: not permitted -> 192.168.1.60/32 at TCP 22',
        `mongodb/mongodb.copies: ${at('192.168.1.50')} -> ${at('192.168.1.60')}`,
      ],
    ],
    [
      'another folder',
      sftp,
      { ...sftp, path: '/other' },
      [`mongodb/mongodb.copies: ${at('192.168.1.50')} -> ${at('192.168.1.50', '/other/mongodb as backup')}`],
    ],
    [
      'another user',
      sftp,
      { ...sftp, user: 'ada' },
      [`mongodb/mongodb.copies: ${at('192.168.1.50')} -> ${at('192.168.1.50', '/backup/mongodb as ada')}`],
    ],
    [
      'a machine of one more key',
      sftp,
      { ...sftp, hostKeys: [key('a'), key('b')] },
      [`mongodb/mongodb.hostKeys: ${key('a')} -> ${key('b')}`],
    ],
    ['a machine of one key less', { ...sftp, hostKeys: [key('a'), key('b')] }, sftp, []],
    [
      'another bucket of the same store',
      s3,
      { ...s3, bucket: 'others' },
      ['mongodb/mongodb.copies: s3:https://s3.example.org/homelab/mongodb -> s3:https://s3.example.org/others/mongodb'],
    ],
    [
      'networks of any address',
      s3,
      { ...s3, networks: ['0.0.0.0/0'] },
      ['mongodb.egress: not permitted -> 0.0.0.0/0 (any address) at TCP 443'],
    ],
    [
      'a server that the node mounts, past every policy',
      sftp,
      nfs,
      [`mongodb/mongodb.copies: ${at('192.168.1.50')} -> nfs:192.168.1.60:/export/mongodb`],
    ],
    [
      'another such server',
      nfs,
      { ...nfs, server: '192.168.1.61' },
      ['mongodb/mongodb.copies: nfs:192.168.1.60:/export/mongodb -> nfs:192.168.1.61:/export/mongodb'],
    ],
    [
      'a claim',
      nfs,
      { kind: 'claim', claim: 'shared' },
      ['mongodb/mongodb.copies: nfs:192.168.1.60:/export/mongodb -> claim:shared/mongodb'],
    ],
    ['the same place', nfs, nfs, []],
  ])('%s', (_, before, after, expected) => expect(moved(after, before)).toEqual(expected));

  test('of all racks share one line', () => {
    const ring: Change = (h) => void (h.databases.cassandra.backup = { target: sftp });
    const copies = said(ring).more.filter((line) => line.includes('.copies: '));
    expect(copies).toEqual([
      `cassandra/cassandra-r1.copies: no copies -> ${at('192.168.1.50', '/backup/cassandra as backup')}`,
    ]);
  });

  test('that end also close their egress', () => {
    expect(said(to(undefined), to(sftp)).less).toEqual([
      'mongodb/mongodb may no longer reach 192.168.1.50/32 at TCP 22.',
      'mongodb/mongodb no longer reads the secrets mongodb-backup.',
    ]);
  });
});

describe('metrics of databases', () => {
  const scraped =
    (labels?: object): Change =>
    (h) => {
      for (const database of ['cassandra', 'mongodb'])
        h.databases[database].exporter = {
          image: 'registry.example.org/exporter:1.0',
          port: 9216,
          memory: Size.mebibytes(64),
          cpu: Cpu.millis(10),
          ...(labels && { scrapedBy: { namespace: 'monitoring', labels } }),
        };
    };
  const prometheus = { app: 'prometheus' };

  test('without a scraper open nothing', () => expect(said(scraped())).toMatchObject({ more: [], less: [] }));

  test('open the ports of the exporter and of ops, and close them', () => {
    expect(said(scraped(prometheus), scraped()).more).toEqual([
      'cassandra.ingress: not permitted -> pods with app=prometheus of namespace monitoring at TCP 7011, TCP 9216',
      'mongodb/mongodb.ingress: not permitted -> pods with app=prometheus of namespace monitoring at TCP 7012, TCP 9216',
    ]);
    expect(said(scraped(), scraped(prometheus)).less).toEqual([
      'cassandra/cassandra-r1, cassandra/cassandra-r2, cassandra/cassandra-r3 can no longer be reached from pods with app=prometheus of namespace monitoring at TCP 7011, TCP 9216.',
      'mongodb/mongodb can no longer be reached from pods with app=prometheus of namespace monitoring at TCP 7012, TCP 9216.',
    ]);
  });

  test('for more pods than before name the pods', () =>
    expect(said(scraped({}), scraped(prometheus)).more).toContain(
      'mongodb/mongodb.ingress: not permitted -> any pod of namespace monitoring at TCP 7012, TCP 9216',
    ));
});
