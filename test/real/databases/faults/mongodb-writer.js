'use strict';
// Writes documents to MongoDB without pause, and prints what was acknowledged; with the argument "read" prints the ids that are
// there. Prints `ack MS ID` and `error MS KIND`, MS being the time since 1970. An id is never written twice, so a write that
// failed counts for nothing, whether or not it is there later.
const { writeSync } = require('node:fs');
const { MongoClient } = require('/opt/mongosh/node_modules/mongodb');

const LOOPS = 4;
const PERIOD = 80;
const concern = process.env.WRITER_CONCERN || 'majority';
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const say = (what, word) => writeSync(1, `${what} ${Date.now()} ${word}\n`);
const kindOf = (error) => error.codeName || error.name;

/** As a service connects: by the variables that connectTo gives it, with the driver's own time limits. */
function collection(options) {
  const client = new MongoClient(process.env.MONGODB_URI, options);
  return { client, ids: client.db().collection('acknowledged') };
}

async function write() {
  const w = concern === 'majority' ? concern : Number(concern);
  const { ids } = collection({ writeConcern: { w } });
  const start = Date.now();
  let number = 0;
  const loop = async () => {
    for (;;) {
      const begin = Date.now();
      const _id = `${start}-${number++}`;
      try {
        await ids.insertOne({ _id });
        say('ack', _id);
      } catch (error) {
        say('error', kindOf(error));
      }
      await wait(Math.max(0, begin + PERIOD - Date.now()));
    }
  };
  await Promise.all(Array.from({ length: LOOPS }, loop));
}

async function read() {
  const { client, ids } = collection({ serverSelectionTimeoutMS: 60_000, readConcern: { level: 'majority' } });
  for await (const { _id } of ids.find({}, { projection: { _id: 1 } })) console.log(_id);
  await client.close();
}

void (process.argv.includes('read') ? read() : write());
