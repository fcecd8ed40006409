'use strict';
// Brings the users that clients connect as to what users.json says. May run any number of times. Each gets its own databases
// and nothing else: readWrite, and collMod, which schema migrations need. Users that this job made and users.json no longer
// lists are dropped; it knows them by their customData, so users that somebody else made stay as they are.
const fs = require('fs');
const MADE_BY = 'users-job';
const MIGRATIONS = 'schemaMigrations';
const { hosts, replicaSet, users } = JSON.parse(fs.readFileSync(process.env.USERS || '/config/users.json', 'utf8'));
const login = encodeURIComponent(process.env.ROOT_USERNAME) + ':' + encodeURIComponent(process.env.ROOT_PASSWORD);
const uri =
  'mongodb://' +
  login +
  '@' +
  hosts.join(',') +
  '/admin?authSource=admin&serverSelectionTimeoutMS=5000&replicaSet=' +
  replicaSet;
const deadline = Date.now() + Number(process.env.WAIT_SECONDS || 600) * 1000;

let connection;
let admin;
for (;;) {
  try {
    connection = new Mongo(uri);
    admin = connection.getDB('admin');
    if (admin.runCommand({ hello: 1 }).isWritablePrimary) break;
    print('waiting for a primary');
  } catch (error) {
    print('waiting for the replica set: ' + error.message);
  }
  if (connection) connection.close();
  if (Date.now() > deadline) {
    print('gave up: no primary, or root cannot log in');
    process.exit(1);
  }
  sleep(5000);
}

const databases = Array.from(new Set(users.flatMap((user) => user.databases)));
for (const name of databases) {
  const database = connection.getDB(name);
  const privileges = [{ resource: { db: name, collection: '' }, actions: ['collMod'] }];
  const exists = database.runCommand({ rolesInfo: MIGRATIONS }).roles.length > 0;
  database.runCommand({ [exists ? 'updateRole' : 'createRole']: MIGRATIONS, privileges, roles: [] });
}
for (const { user, passwordFrom, databases: own } of users) {
  const roles = own.flatMap((db) => [
    { role: 'readWrite', db },
    { role: MIGRATIONS, db },
  ]);
  const exists = admin.runCommand({ usersInfo: user }).users.length > 0;
  const command = exists ? 'updateUser' : 'createUser';
  admin.runCommand({ [command]: user, pwd: process.env[passwordFrom], roles, customData: { madeBy: MADE_BY } });
  print(command + ' ' + user + ': ' + own.join(', '));
}
const made = admin
  .runCommand({ usersInfo: 1, filter: { 'customData.madeBy': MADE_BY } })
  .users.map((each) => each.user);
for (const user of made.filter((each) => !users.some((wanted) => wanted.user === each))) {
  admin.runCommand({ dropUser: user });
  print('dropUser ' + user + ': no longer a client');
}
for (const { db } of admin.getCollection('system.roles').find({ role: MIGRATIONS }).toArray()) {
  if (!databases.includes(db)) connection.getDB(db).runCommand({ dropRole: MIGRATIONS });
}
