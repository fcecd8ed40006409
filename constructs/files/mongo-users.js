'use strict';
// Reconciles the users of clients with users.json. Can be repeated. Each user gets rights on its own databases
// only: readWrite, and collMod for schema migrations, or the requested built-in roles. Users that
// this job made and users.json no longer lists are dropped; their customData marks them, so users that someone else made
// stay unchanged.
// A client has two users that take turns, NAME and NAME_2: during a rotation of its password, pods with the old name and
// password must still log in. The user that its secret does not name is dropped once the secret has no previous password.
const fs = require('fs');
const MADE_BY = 'users-job';
const MIGRATIONS = 'schemaMigrations';
const { hosts, replicaSet, users } = JSON.parse(fs.readFileSync(process.env.USERS || '/config/users.json', 'utf8'));
const ROOT = process.env.ROOT_USERNAME;
const uri = (password) =>
  'mongodb://' +
  encodeURIComponent(ROOT) +
  ':' +
  encodeURIComponent(password) +
  '@' +
  hosts.join(',') +
  '/admin?authSource=admin&serverSelectionTimeoutMS=5000&replicaSet=' +
  replicaSet;
const isRefusal = (error) => error.code === 18 || /Authentication failed/.test(String(error));

// During a rotation of the root password, the set has the previous one until this job has run.
function changeRoot() {
  const connection = new Mongo(uri(process.env.PREVIOUS_ROOT_PASSWORD));
  connection.getDB('admin').runCommand({ updateUser: ROOT, pwd: process.env.ROOT_PASSWORD });
  connection.close();
  print('updateUser ' + ROOT + ': the new password');
}

const deadline = Date.now() + Number(process.env.WAIT_SECONDS || 600) * 1000;

let connection;
let admin;
for (;;) {
  try {
    connection = new Mongo(uri(process.env.ROOT_PASSWORD));
    admin = connection.getDB('admin');
    if (admin.runCommand({ hello: 1 }).isWritablePrimary) break;
    print('waiting for a primary');
  } catch (error) {
    print('waiting for the replica set: ' + error.message);
    if (isRefusal(error) && process.env.PREVIOUS_ROOT_PASSWORD) {
      try {
        changeRoot();
        continue;
      } catch (other) {
        print('with the previous root password: ' + other.message);
      }
    }
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
const wanted = new Set();
for (const each of users) {
  const {
    user: name,
    usernameFrom,
    passwordFrom,
    previousFrom,
    databases: own,
    readOnly = [],
    roles: further = [],
  } = each;
  const user = process.env[usernameFrom] || name;
  const other = user === name ? name + '_2' : name;
  const roles = own
    .flatMap((db) => [
      { role: 'readWrite', db },
      { role: MIGRATIONS, db },
    ])
    .concat(readOnly.map((db) => ({ role: 'read', db })))
    .concat(further);
  const exists = admin.runCommand({ usersInfo: user }).users.length > 0;
  const command = exists ? 'updateUser' : 'createUser';
  admin.runCommand({ [command]: user, pwd: process.env[passwordFrom], roles, customData: { madeBy: MADE_BY } });
  const limited = readOnly.map((db) => db + ' (read)').concat(further.map(({ role, db }) => db + ' (' + role + ')'));
  print(command + ' ' + user + ': ' + own.concat(limited).join(', '));
  wanted.add(user);
  if (!process.env[previousFrom]) continue;
  wanted.add(other);
  if (admin.runCommand({ usersInfo: other }).users.length === 0) continue;
  admin.runCommand({ updateUser: other, roles });
  print('updateUser ' + other + ': keeps its password until its client has the new one');
}
const made = admin
  .runCommand({ usersInfo: 1, filter: { 'customData.madeBy': MADE_BY } })
  .users.map((each) => each.user);
for (const user of made.filter((each) => !wanted.has(each))) {
  admin.runCommand({ dropUser: user });
  print('dropUser ' + user + ': no client uses it any more');
}
for (const { db } of admin.getCollection('system.roles').find({ role: MIGRATIONS }).toArray()) {
  if (!databases.includes(db)) connection.getDB(db).runCommand({ dropRole: MIGRATIONS });
}
