import { Size } from 'cdk8s';
import type { Walk } from './walk';

type Json = any;

/** Ways of an owner, each from the homelab of tests, made small. */
export const WAYS: Readonly<Record<string, (walk: Walk) => Promise<void>>> = {
  'an image': image,
  'a service is renamed': renamedService,
  'another keyspace': keyspace,
  'a database retires, comes back, retires and goes': retired,
  'five members to three to one': members,
  'a ring grows': ring,
};

async function image(walk: Walk): Promise<void> {
  await walk.commit('a new image of chat', (h) =>
    Object.assign(h.services.chat, { image: 'ghcr.io/owner/chat:1.0.1', port: 9898 }),
  );
  await walk.commit('three replicas', (h) => (h.services.chat.replicas = 3));
  await walk.commit('a variable', (h) => (h.services.chat.env = { LOG_LEVEL: 'debug' }));
  await walk.commit('one replica', (h) => (h.services.chat.replicas = 1));
  await walk.commit('memory of Cassandra', (h) => (h.databases.cassandra.memory = Size.mebibytes(2816)));
}

async function renamedService(walk: Walk): Promise<void> {
  await walk.commit('presence is called attendance', (h) => {
    h.services = Object.fromEntries(
      Object.entries(h.services).map(([name, service]) => [name === 'presence' ? 'attendance' : name, service]),
    );
    for (const connection of h.services.gateway.connects)
      if (connection.service === 'presence') connection.service = 'attendance';
  });
}

async function keyspace(walk: Walk): Promise<void> {
  await walk.commit('one keyspace more', (h) =>
    h.services.search.connects.push({ cassandra: 'cassandra', keyspace: 'search' }),
  );
  await walk.commit('another keyspace for chat', (h) => (h.services.chat.connects[0].keyspace = 'talk'));
}

/** Services that no longer connect to MongoDB. */
function withoutMongo(h: Json): void {
  for (const service of Object.values<Json>(h.services))
    service.connects = service.connects.filter((connection: Json) => !connection.mongodb);
}

async function retired(walk: Walk): Promise<void> {
  const retire = (h: Json) => {
    h.databases.mongodb.state = 'retired';
    withoutMongo(h);
  };
  await walk.commit('mongodb retires', retire);
  await walk.revert('mongodb comes back');
  await walk.commit('mongodb retires again', retire);
  await walk.commit('mongodb goes', (h) => {
    delete h.databases.mongodb;
    delete h.machines['talos-worker-02'].dataDisks;
  });
}

async function members(walk: Walk): Promise<void> {
  const mongodb = (count: number, pods: number) => (h: Json) => {
    Object.assign(h.databases.mongodb, { members: count, pods });
    h.machines['talos-worker-02'].dataDisks = Object.fromEntries(
      Array.from({ length: pods }, (_, index) => [`mongodb-${index}`, Size.gibibytes(100)]),
    );
  };
  await walk.commit('five members', mongodb(5, 5));
  await walk.commit('three members, five pods', mongodb(3, 5));
  await walk.commit('three pods', mongodb(3, 3));
  await walk.commit('one member, three pods', mongodb(1, 3));
  await walk.commit('one pod', mongodb(1, 1));
}

async function ring(walk: Walk): Promise<void> {
  await walk.commit('two nodes in each rack', (h) => {
    h.databases.cassandra.nodesPerRack = 2;
    for (const rack of ['r1', 'r2', 'r3'])
      h.machines['talos-worker-01'].dataDisks[`cassandra-${rack}-1`] = Size.gibibytes(100);
  });
}
