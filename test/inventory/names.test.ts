import { Chart } from 'cdk8s';
import { homelabApp } from '../../charts';
import { defineHomelab, revisionOf } from '../../inventory';
import { byTarget, clientLoginOf, targetOf } from '../../inventory/connections';
import { FIXED_NAMESPACES, FOLDERS } from '../../inventory/names';
import { labelSelector } from '../../values/labels';
import homelab from '../fixtures/homelab';
import { changed, ofKind, renderedHomelab } from '../homelab';

const made = [
  ...homelabApp(homelab)
    .node.children.filter(Chart.isChart)
    .map(({ node }) => node.id),
  ...ofKind(renderedHomelab(), 'Namespace').map(({ metadata }) => metadata.name),
].filter((name) => !(name in homelab.databases));

test('the inventory lists every namespace and folder that charts render', () => {
  const known = [...FIXED_NAMESPACES, ...Object.values(FOLDERS)];
  expect([...new Set(made)].filter((name) => !known.includes(name))).toEqual([]);
  expect(Object.values(FOLDERS).filter((folder) => !made.includes(folder))).toEqual([]);
});

test.each([...new Set([...made, 'kube-system', 'kube-public'])])('no database may be named %s', (name) => {
  const named = changed((h) => (h.databases[name] = h.databases.mongodb));
  expect(() => defineHomelab(named)).toThrow(
    `databases.${name} must not be named like a namespace or folder of the homelab`,
  );
});

test('calls the handler for the kind of target of a connection', () => {
  const connections = [
    { service: 'identity' },
    { mongodb: 'mongodb', database: 'notes', user: 'reader' },
    { cassandra: 'ring', keyspace: 'chat' },
    { model: 'small' },
    { internet: [443], because: 'push notifications' },
    { address: '192.168.1.40', port: 5432, as: 'ledger' },
  ];
  expect(connections.map(targetOf)).toEqual([
    ['service', 'identity'],
    ['mongodb', 'mongodb'],
    ['cassandra', 'ring'],
    ['model', 'small'],
    ['internet', 'internet'],
    ['address', 'ledger'],
  ]);
  expect(connections.map((each) => clientLoginOf('notes', each))).toEqual([
    undefined,
    { user: 'reader', data: 'notes' },
    { user: 'notes', data: 'chat' },
    undefined,
    undefined,
    undefined,
  ]);
  const kinds = {
    service: () => 1,
    mongodb: () => 2,
    cassandra: () => 3,
    model: () => 4,
    internet: () => 5,
    address: () => 6,
  };
  expect(connections.map((each) => byTarget(each, kinds))).toEqual([1, 2, 3, 4, 5, 6]);
});

test('Argo CD follows the branch main by default', () => {
  expect(revisionOf(changed((h) => delete h.git.revision))).toBe('main');
  expect(revisionOf(changed((h) => (h.git.revision = 'v2')))).toBe('v2');
});

test('pods are selected by name and instance', () => {
  expect(labelSelector('mongodb', 'store')).toBe('app.kubernetes.io/name=mongodb,app.kubernetes.io/instance=store');
});
