// Run by mongosh as root: one of everything that a copy may lose.
const shop = db.getSiblingDB('shop');
const at = new Date('2026-01-01T00:00:00Z');
shop.types.insertMany([
  {
    _id: 1,
    int: Int32(1),
    double: Double(1),
    long: Long('1'),
    decimal: Decimal128('1.10'),
    negative: -0.0,
    nan: NaN,
    infinite: Infinity,
    date: new Date(-2208988800000),
    binary: BinData(5, 'eA=='),
    old: BinData(2, 'b2xk'),
    uuid: UUID('00000000-0000-0000-0000-000000000001'),
    timestamp: Timestamp({ t: 5, i: 6 }),
    regex: /a.b/im,
    min: MinKey(),
    max: MaxKey(),
    code: Code('1'),
    scoped: Code('x', { x: 1 }),
    none: null,
    id: ObjectId('000000000000000000000001'),
    empty: '',
    nul: 'a\0b',
    far: '\u{1f600}',
    list: [1, [Long('2')], {}],
    object: {},
  },
  // A shell's own objects would put 1 before 10.
  new Map([
    ['_id', 2],
    ['10', 1],
    ['9', 2],
    ['a', 3],
    ['1', 4],
    ['', 5],
    ['__proto__', 6],
  ]),
]);
shop.many.insertMany(Array.from({ length: 20000 }, (_, i) => ({ _id: i, text: 'text '.repeat(20) + i, n: i % 7 })));
shop.many.createIndex({ n: 1, text: -1 }, { name: 'both' });
shop.runCommand({
  createIndexes: 'many',
  indexes: [
    {
      key: new Map([
        ['10', 1],
        ['9', -1],
      ]),
      name: 'order',
    },
  ],
});
shop.many.createIndex({ text: 'text' }, { weights: { text: 5 } });
shop.many.createIndex({ n: 1 }, { partialFilterExpression: { n: { $gt: 3 } }, name: 'partial', hidden: true });
shop.many.createIndex({ '$**': 1 });
shop.geo.createIndex({ place: '2dsphere' });
shop.geo.insertOne({ place: { type: 'Point', coordinates: [1, 2] } });
// Expired long ago: mongod removes it within a minute of the restore, and only then.
shop.expiring.createIndex({ at: 1 }, { expireAfterSeconds: 30 * 365 * 86400 });
shop.expiring.insertOne({ at });
shop.createCollection('valid', {
  validator: { $jsonSchema: { required: ['a'], properties: { a: { bsonType: 'string', pattern: '^x' } } } },
  validationLevel: 'moderate',
});
shop.runCommand({ insert: 'valid', documents: [{ _id: 'does not fit' }], bypassDocumentValidation: true });
shop.createCollection('german', { collation: { locale: 'de', strength: 2 } });
shop.german.insertOne({ _id: 'B' });
shop.german.createIndex({ x: 1 }, { unique: true });
shop.createCollection('capped', { capped: true, size: 65536, max: 50 });
shop.capped.insertMany(Array.from({ length: 80 }, (_, i) => ({ i })));
shop.createCollection('clustered', { clusteredIndex: { key: { _id: 1 }, unique: true } });
shop.clustered.insertOne({ _id: 3 });
shop.createCollection('series', { timeseries: { timeField: 't', metaField: 'm', granularity: 'minutes' } });
shop.series.insertMany(
  Array.from({ length: 500 }, (_, i) => ({ t: new Date(at.getTime() + i * 1000), m: { s: i % 3 }, v: i * 1.5 })),
);
shop.series.createIndex({ 'm.s': 1, t: 1 });
shop.createView('view', 'many', [{ $match: { n: { $gt: 1 } } }]);
shop.createCollection('empty');
shop.getCollection('dotted.name').insertOne({ a: 1 });
db.getSiblingDB('other').x.insertOne({ a: 1 });
shop.createRole({
  role: 'reader',
  privileges: [{ resource: { db: 'shop', collection: 'many' }, actions: ['find'] }],
  roles: [],
});
db.createRole({ role: 'auditor', privileges: [], roles: [{ role: 'read', db: 'shop' }] });
shop.createUser({ user: 'ann', pwd: 'ann', roles: ['reader'] });
db.createUser({ user: 'bob', pwd: 'bob', roles: ['auditor'] });
print('filled');
