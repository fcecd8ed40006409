'use strict';
// Logs in to MongoDB for each write, as a pod does that starts or whose connections were lost. Prints as mongodb-writer.js does.
const { writeSync } = require('node:fs');
const { MongoClient } = require('/opt/mongosh/node_modules/mongodb');

const say = (what, word) => writeSync(1, `${what} ${Date.now()} ${word}\n`);
const start = Date.now();

async function main() {
  for (let number = 0; ; number++) {
    const client = new MongoClient(process.env.MONGODB_URI, { writeConcern: { w: 'majority' }, maxPoolSize: 1 });
    try {
      const _id = `${start}-login-${number}`;
      await client.db().collection('logins').insertOne({ _id });
      say('ack', _id);
    } catch (error) {
      say('error', error.codeName || error.name);
    }
    await client.close();
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

void main();
