import { until } from '../../cluster/processes';
import type { Tally } from '../../tally';
import { logs } from '../clients';
import { inFreshNode, small } from '../fresh-node';
import type { Mode } from '../../node/name-server';
import { pause } from '../../node/processes';
import { ASKS } from './mongodb-old-copy';
import { hello, MongoSet, MongoWriter } from './mongodb-set';
import type { FaultTable } from './table';
import {
  caught,
  fillDisk,
  freeze,
  kill,
  partition,
  powerCut,
  replace,
  squeeze,
  terminate,
  thaw,
  withClock,
  type Member,
} from './tools';

type Fault = (set: MongoSet) => Promise<void>;

/** Faults of a set of three, one after the other, while one client writes. */
export const MONGODB_FAULTS: Readonly<Record<string, Fault>> = {
  'mongodb: kill -9': killed,
  'mongodb: SIGTERM': (set) =>
    set.fault('SIGTERM of the primary', async () => {
      const { pod } = await set.primary();
      await ended(pod, () => terminate(pod, 'mongod'));
    }),
  'mongodb: rolling restart': rolled,
  'mongodb: address lost': (set) =>
    set.fault('the primary loses its address', async () => void (await replace(await set.primary()))),
  'mongodb: volume lost': (set) =>
    set.fault(
      'the primary loses its volume',
      async () => void (await replace(await set.primary(), { disk: 'lose', address: 'keep', grace: 0 })),
    ),
  'mongodb: volume and address lost': (set) =>
    set.fault(
      'the primary loses its volume and its address',
      async () => void (await replace(await set.primary(), { disk: 'lose', grace: 0 })),
    ),
  'mongodb: all at once': allAtOnce,
  'mongodb: power cut': (set) =>
    set.fault('the power is cut', async () => {
      await powerCut(set.members);
    }),
  'mongodb: partition': parted,
  'mongodb: control with weak settings': weak,
  'mongodb: SIGSTOP': frozen,
  'mongodb: disk full': full,
  'mongodb: clock': clocks,
  'mongodb: memory limit': (set) =>
    set.fault('the primary is at its memory limit', async () => {
      const { pod } = await set.primary();
      const mongod = pod.container('mongod');
      const before = mongod.restarts;
      const release = squeeze(mongod, 0);
      try {
        await until('mongod is killed for its memory', 120, async () => mongod.restarts > before);
      } finally {
        release();
      }
      set.tally.check(
        'a mongod over its limit ends with 137',
        mongod.lastCode === 137,
        `it ended with ${mongod.lastCode}`,
      );
    }),
  'mongodb: keyfile': wrongKeyfile,
  'mongodb: root password': wrongRoot,
  'mongodb: names': names,
  'mongodb: users job': usersJob,
  'mongodb: two of three without data': twoWithoutData,
};

/** Runs some of them on one set. After a failed fault, the next one runs if the set is complete again. */
export async function mongodbFaults(
  tally: Tally,
  table: FaultTable,
  chosen: Iterable<string>,
  lapped: (what: string) => void,
): Promise<void> {
  await inFreshNode(tally, small, async (node, rendered, again) => {
    const set = new MongoSet(node, rendered, again, tally, table);
    await set.whole(8);
    const { pod, code } = await rendered.runJob(node, 'mongodb', 'first');
    tally.check('the users job succeeds', code === 0, pod.log('job'));
    set.writer = new MongoWriter(node, rendered);
    for (const name of chosen) {
      try {
        await MONGODB_FAULTS[name]!(set);
        lapped(name);
      } catch (error) {
        tally.check(`${name}: runs to its end`, false, `${(error as Error).stack}\n${logs(set.pods)}`);
        await set.whole();
      }
    }
  });
}

/** The kubelet starts it again. */
export async function killed(set: MongoSet): Promise<void> {
  await set.fault('kill -9 of the primary', async () => {
    const { pod } = await set.primary();
    await ended(pod, () => kill(pod, 'mongod'));
  });
}

async function ended(pod: Member['pod'], end: () => void): Promise<void> {
  const mongod = pod.container('mongod');
  const before = mongod.restarts;
  end();
  await until('the kubelet starts it again', 120, async () => mongod.restarts > before);
}

/** As an update of the StatefulSet goes: the last first, and the next when it is ready. */
async function rolled(set: MongoSet): Promise<void> {
  await set.fault('rolling restart', async () => {
    for (const member of [...set.members].reverse()) {
      await replace(member);
      await until(
        `${member.pod.name} is ready`,
        180,
        async () => member.pod.ready,
        () => logs(set.pods),
      );
    }
  });
}

async function allAtOnce(set: MongoSet): Promise<void> {
  for (const [what, grace] of [
    ['stopped and started at once', undefined],
    ['killed at once', 0],
  ] as const)
    await set.fault(`all ${what}`, async () => {
      await Promise.all(set.pods.map((pod) => pod.stop(grace)));
      await Promise.all(set.members.map((member) => replace(member)));
    });
}

async function parted(set: MongoSet): Promise<void> {
  await set.fault('the primary is cut off from the other members', async () => {
    const primary = await set.primary();
    await apart([primary], set.others(primary), 30);
  });
  await set.fault('the primary is cut off from all', async () => {
    const primary = await set.primary();
    await apart([primary], [...set.others(primary), { pod: set.writer.pod }], 30);
  });
}

type Side = readonly Pick<Member, 'pod'>[];

async function apart(ones: Side, others: Side, seconds: number): Promise<void> {
  const pods = (side: Side) => side.map(({ pod }) => pod);
  const heal = partition(pods(ones), pods(others));
  try {
    await pause(seconds);
  } finally {
    heal();
  }
}

/** A client with write concern 1 loses writes that one member accepted while it was partitioned. */
async function weak(set: MongoSet): Promise<void> {
  const writer = new MongoWriter(set.node, set.rendered, 'documents', '1');
  await set.table.control(writer, 'with w: 1, the primary is cut off from the other members', async () => {
    const primary = await set.primary();
    await apart([primary], set.others(primary), 30);
    await set.whole();
  });
  await writer.stop();
}

/** Its connections stay open, and nobody answers on them. A secondary that others copy from would hold up all writes. */
async function frozen(set: MongoSet): Promise<void> {
  await set.fault('SIGSTOP of a secondary for 40 s', async () => {
    const { pod } = set.members[1]!;
    freeze(pod);
    try {
      await pause(40);
    } finally {
      thaw(pod);
    }
  });
  await set.fault('SIGSTOP of the primary for 90 s', async () => {
    const { pod } = await set.primary();
    freeze(pod);
    try {
      await pause(90);
    } finally {
      thaw(pod);
    }
  });
}

async function full(set: MongoSet): Promise<void> {
  await set.fault('the disk of the primary is full for 60 s', async () => {
    const { pod } = await set.primary();
    const makeRoom = fillDisk(pod);
    try {
      await pause(60);
    } finally {
      makeRoom();
    }
  });
}

async function clocks(set: MongoSet): Promise<void> {
  for (const [what, seconds, of] of [
    ['the clock of the primary is 10 minutes ahead', 600, async () => set.primary()],
    ['the clock of a secondary is 10 minutes behind', -600, async () => set.members[2]!],
  ] as const)
    await set.fault(what, async () => {
      const index = set.members.indexOf(await of());
      const right = set.members[index]!;
      const wrong = { ...right, set: withClock(right.set, seconds) };
      await replace(wrong);
      set.members[index] = wrong;
      await set.whole();
      const { output } = await wrong.pod.container('mongod').exec(['date', '+%s']);
      const off = Number(output) - Date.now() / 1000;
      set.tally.check(`${what}: it is`, Math.abs(off - seconds) < 30, `off by ${off} s`);
      await pause(20);
      right.pod = wrong.pod;
      await replace(right);
      set.members[index] = right;
    });
}

/** Starts a member after the keyfile in the secret changed, and then with the right keyfile again. */
export async function wrongKeyfile(set: MongoSet): Promise<void> {
  const place = 'mongodb/mongodb-keyfile';
  const { secrets } = set.node.cluster;
  const good = secrets.get(place)!;
  await set.fault('a secondary with a wrong keyfile', async () => {
    const member = set.members[2]!;
    secrets.set(place, { keyfile: Buffer.from('another key, of which nobody knows').toString('base64').repeat(4) });
    try {
      const pod = await replace(member);
      await until(
        'the member says that its keyfile is refused',
        120,
        async () => /rejects the keyfile of this member/.test(pod.log('reconcile')),
        () => logs([pod]),
      );
    } finally {
      secrets.set(place, good);
    }
    await replace(member);
  });
}

/** Members know each other by name. One restarts during the fault and must find the others. */
async function names(set: MongoSet): Promise<void> {
  const modes: readonly [Mode, string][] = [
    ['silent', 'the name server is silent for 60 s, and a secondary restarts'],
    ['slow', 'the name server takes 3 s, and a secondary restarts'],
    ['nobody', 'the name server knows no name for 60 s, and a secondary restarts'],
  ];
  for (const [mode, what] of modes)
    await set.fault(what, async () => {
      set.node.names.mode = mode;
      try {
        kill(set.members[1]!.pod, 'mongod');
        await pause(60);
      } finally {
        set.node.names.mode = 'answers';
      }
    });
}

/** Kills the job at the first user, in its next run at the second user, and so on. */
async function usersJob(set: MongoSet): Promise<void> {
  const [job] = set.rendered.of('Job', 'mongodb');
  const { namespace } = job.metadata;
  await set.fault('kill -9 of the users job at each of three users', async () => {
    const pod = set.node.run({ metadata: { name: 'users-killed', namespace }, spec: job.spec.template.spec });
    const users = () => pod.log('job').match(/^(?:create|update)User /gm)?.length ?? 0;
    for (let user = 1, before = 0; user <= 3; user++) {
      await caught(`user ${user} of the job`, 90, () => users() >= before + user);
      kill(pod, 'job');
      await pause(1);
      before = users();
    }
    set.tally.check('the users job succeeds in the end', (await pod.ended) === 0, pod.log('job'));
    await pod.stop(0);
  });
}

/** The one that is left can be no primary alone. Once someone has agreed for one of the others, the third follows. */
async function twoWithoutData(set: MongoSet): Promise<void> {
  await set.fault('two of three lose their volumes, and the operator accepts the loss', async () => {
    const left = await set.primary();
    const [one, ...others] = set.others(left) as [Member, Member];
    await Promise.all([one, ...others].map(({ pod }) => pod.stop(0)));
    await until('the one that is left steps down', 60, async () => (await hello(left.pod))?.secondary === true);
    const pods = await Promise.all([one, ...others].map((member) => replace(member, { disk: 'lose' })));
    await until(
      'both say what is to be done',
      180,
      async () => pods.every((pod) => ASKS.test(pod.log('reconcile'))),
      () => logs(set.pods),
    );
    await pause(30);
    const [, file] = ASKS.exec(one.pod.log('reconcile'))!;
    await one.pod.container('reconcile').exec(['touch', file!]);
  });
}

/** The one of the primary tries what it must not: to make root once more. */
async function wrongRoot(set: MongoSet): Promise<void> {
  const place = 'mongodb/mongodb-root';
  const { secrets } = set.node.cluster;
  const good = secrets.get(place)!;
  const becomes = (values: Readonly<Record<string, string>>) => {
    secrets.set(place, values);
    for (const pod of set.pods) pod.refresh();
  };
  await set.fault('another root password in the secret than in the set', async () => {
    becomes({ ...good, password: 'another, which the set does not know' });
    const { pod } = await set.primary();
    try {
      await until(
        'its reconciler says what is wrong',
        60,
        async () => /rejects the root password of the secret/.test(pod.log('reconcile')),
        () => logs([pod]),
      );
      await pause(20);
      set.tally.check(
        'every member stays ready',
        set.pods.every(({ ready }) => ready),
        logs(set.pods),
      );
    } finally {
      becomes(good);
    }
    await until(
      'it goes on',
      60,
      async () => /as wanted/.test(pod.log('reconcile').trim().split('\n').at(-1)!),
      () => logs([pod]),
    );
  });
}
