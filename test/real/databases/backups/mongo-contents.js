// Run by mongosh as root: all that a set holds, as one line that can be compared. Documents by mongod's own hash.
const all = {};
for (const { name } of db.adminCommand({ listDatabases: 1, nameOnly: true }).databases) {
  if (['local', 'config', 'admin'].includes(name)) continue;
  const one = db.getSiblingDB(name);
  const found = (all[name] = { hashes: one.runCommand({ dbHash: 1 }).collections, collections: {}, indexes: {} });
  for (const { name: collection, type, options } of one.runCommand({ listCollections: 1 }).cursor.firstBatch) {
    found.collections[collection] = [type, EJSON.stringify(options, { relaxed: false })];
    if (type === 'view' || collection === 'system.views') continue;
    // EJSON of the raw answer keeps the order of keys only for names that are no numbers: those by their type and place.
    const indexes = one.runCommand({ listIndexes: collection }).cursor.firstBatch;
    found.indexes[collection] = indexes.map((index) => EJSON.stringify(index, { relaxed: false })).sort();
    if (collection.startsWith('system.buckets'))
      found.hashes[collection] = EJSON.stringify(one.getCollection(collection).find().sort({ _id: 1 }).toArray(), {
        relaxed: false,
      });
  }
}
all.users = db
  .getCollection('system.users')
  .find({ 'customData.madeBy': { $exists: false }, user: { $ne: 'root' } }, { userId: 0 })
  .sort({ _id: 1 })
  .toArray();
all.roles = db.getCollection('system.roles').find().sort({ _id: 1 }).toArray();
const sorted = (value) =>
  value && value.constructor === Object
    ? Object.fromEntries(
        Object.keys(value)
          .sort()
          .map((key) => [key, sorted(value[key])]),
      )
    : value;
print('CONTENTS ' + EJSON.stringify(sorted(all), { relaxed: false }));
