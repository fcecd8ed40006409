import { nextCommits } from '../../../checks/step/next-commits';
import { pairs, type Step } from '../../../checks/step/step';
import * as change from './changes';
import { editStep, homelabStep } from './steps';

const next = (step: Step) => nextCommits(step, pairs(step));

test('pods follow members, removal follows retirement, each with the command that shows when it is safe', () => {
  expect(next(homelabStep(change.members(1, 3)))).toEqual([
    {
      what: 'databases.mongodb.pods: 1, or leave pods out; and remove the disks of the removed pods from their machine',
      when: 'the primary says "as wanted" with exactly one host: kubectl -n mongodb logs -l app.kubernetes.io/instance=mongodb -c reconcile --prefix --tail=2',
    },
  ]);
  expect(next(homelabStep(change.retired))).toEqual([
    {
      what: 'remove databases.mongodb and its disks from homelab.ts, or set it to active again',
      when: expect.stringContaining('you restored a backup as a test'),
    },
  ]);
});

test('one moved disk: the next one follows when this replica has its data', () => {
  const [only, ...others] = next(homelabStep(change.moved('mongodb-2')));
  expect(others).toEqual([]);
  expect(only!.what).toContain('kubectl delete pv mongodb-data-mongodb-2');
  expect(only!.when).toContain('mongodb-2 has copied its data from the others: the primary says "as wanted"');
});

test('fewer members of a ring: fewer pods follow when the nodes have left', () => {
  expect(next(homelabStep(change.nodesPerRack(2, 1), change.nodesPerRack(2)))).toEqual([
    {
      what: 'databases.cassandra.nodesPerRack: 1, remove membersPerRack, and remove the disks of the removed pods from their machine',
      when: 'cassandra-r1-1, cassandra-r2-1, cassandra-r3-1 have left the ring: npm run homelab -- status reports for cassandra that the pods that leave have left',
    },
  ]);
  expect(next(homelabStep(change.nodesPerRack(1), change.nodesPerRack(2, 1)))).toEqual([]);
});

test('a growing ring waits until all nodes are UN, more replicas wait until the job has ended', () => {
  const two = next(homelabStep(change.nodesPerRack(2)));
  expect(two.map(({ when }) => when)).toEqual([
    'all 6 nodes say UN: kubectl -n cassandra exec cassandra-r1-0 -c cassandra -- nodetool status',
  ]);
  const copies = next(
    editStep((object) => {
      if (object.kind !== 'ConfigMap' || !object.data['schema.json']) return object;
      return {
        ...object,
        data: { ...object.data, 'schema.json': object.data['schema.json'].replace(/: 3(,?)$/gm, ': 5$1') },
      };
    }),
  );
  expect(copies[0]!.what).toBe('the next change of cassandra: its keyspaces get 5 copies first');
});

test('only a new major version has a next commit', () => {
  const image = (from: string, to: string) => (object: any) => JSON.parse(JSON.stringify(object).replaceAll(from, to));
  expect(next(editStep(image('mongo:8.0.26', 'mongo:9.0.1')))[0]!.what).toContain(
    "databases.mongodb.featureCompatibilityVersion: '9.0', with an accepted change",
  );
  expect(next(editStep(image('mongo:8.0.26', 'mongo:8.0.27')))).toEqual([]);
  expect(next(editStep(image('cassandra:5.0.8', 'cassandra:6.0.0')))[0]!.what).toContain('upgradesstables');
  expect(next(homelabStep((h) => (h.databases.mongodb.cpu = h.databases.cassandra.cpu)))).toEqual([]);
  expect(next(editStep((object) => object))).toEqual([]);
});
