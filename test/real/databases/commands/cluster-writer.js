// Run by mongosh in a pod of the users job: writes documents without pause, with a majority, and prints what was acknowledged, as
// faults/mongodb-writer.js does. Where /tmp/read is there it prints the ids that the set has; where /tmp/end is, it removes all.
const fs = require('node:fs');
const { hosts, replicaSet } = JSON.parse(fs.readFileSync('/config/users.json', 'utf8'));
const login = `${process.env.ROOT_USERNAME}:${encodeURIComponent(process.env.ROOT_PASSWORD)}`;
const uri = `mongodb://${login}@${hosts}/proof_writer?authSource=admin&replicaSet=${replicaSet}&readConcernLevel=majority`;
const own = new Mongo(uri).getDB('proof_writer');
const start = Date.now();
const asked = (file) => {
  if (!fs.existsSync(file)) return false;
  fs.unlinkSync(file);
  return true;
};

for (let number = 0; !asked('/tmp/end'); number++) {
  const _id = `${start}-${number}`;
  try {
    own.acknowledged.insertOne({ _id }, { writeConcern: { w: 'majority' } });
    print(`ack ${Date.now()} ${_id}`);
  } catch (error) {
    print(`error ${Date.now()} ${error.codeName || error.name}`);
  }
  if (asked('/tmp/read')) {
    own.acknowledged.find().forEach(({ _id: there }) => print(`there ${there}`));
    print('read');
  }
  sleep(10);
}
own.dropDatabase();
