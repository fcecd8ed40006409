'use strict';
// Loads the files that restore-fetch.sh fetched into the running set: starts a mongod on them that only this pod reaches,
// copies each collection as bytes, and compares both sides. With RESTORE_DRILL it only checks the files.
// Can be killed at any moment: admin.collabRestore records which collections are complete, and the next run loads the rest.
const { spawn } = require('child_process');
const crypto = require('crypto');
const fs = require('fs');
const os = require('os');
const path = require('path');
const { Connection, Raw, decode, elements } = require('./mongo-wire.js');

const RECORD = 'collabRestore';
const MAJORITY = { w: 'majority', wtimeout: 300000 };
const PORT = Number(process.env.RESTORE_PORT || 27117);
const STAGE = process.env.STAGE || '/restore';
const say = (text) => console.log(new Date().toISOString() + ' ' + text);

/** An error that a retry cannot fix. */
class Refused extends Error {}

/** Collections of a database in the order in which they can be created: a view needs its source. */
function plan(found) {
  const isOurs = ({ name, type }) => type !== 'view' && (!name.startsWith('system.') || name === 'system.js');
  return [...found.filter(isOurs), ...found.filter(({ type }) => type === 'view')];
}

async function startMongod(dbpath) {
  const log = path.join(os.tmpdir(), 'mongod.log');
  const parameters = [
    'recoverFromOplogAsStandalone=true',
    'ttlMonitorEnabled=false',
    'diagnosticDataCollectionEnabled=false',
  ];
  const child = spawn(
    process.env.MONGOD || 'mongod',
    [
      '--dbpath',
      dbpath,
      '--bind_ip',
      '127.0.0.1',
      '--port',
      String(PORT),
      '--nounixsocket',
      '--wiredTigerCacheSizeGB',
      '0.25',
      '--logpath',
      log,
      '--quiet',
      ...parameters.flatMap((each) => ['--setParameter', each]),
    ],
    { stdio: 'ignore' },
  );
  let ended;
  child.on('exit', (code) => (ended = code ?? -1));
  child.on('error', () => (ended = -1));
  process.on('exit', () => child.kill('SIGKILL'));
  for (let second = 0; second < 3600; second++) {
    if (ended !== undefined) {
      const lines = fs.existsSync(log) ? fs.readFileSync(log, 'utf8').trim().split('\n') : [];
      const bad = lines.filter((line) => /"s":"[EF]"/.test(line)).slice(-3);
      throw new Refused(
        'mongod does not start from the backup (exit code ' +
          ended +
          '): ' +
          (bad.length > 0 ? bad : lines.slice(-3)).join(' '),
      );
    }
    try {
      return { child, source: await Connection.open('127.0.0.1', PORT, 2) };
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
  }
  throw new Error('mongod did not start from the backup within an hour');
}

/** The primary of the running set, logged in. */
async function primaryOf({ hosts, user, password }) {
  const until = Date.now() + Number(process.env.WAIT_SECONDS || 600) * 1000;
  for (let said = ''; ;) {
    for (const host of hosts) {
      let connection;
      try {
        const [name, port] = host.split(':');
        connection = await Connection.open(name, Number(port), 5);
        if ((await connection.run('admin', { hello: 1 })).isWritablePrimary === true) {
          await connection.login(user, password);
          return connection;
        }
      } catch (error) {
        if (error.code === 18)
          throw new Refused('root cannot log in to the running set: it has another password than the secret');
        if (said !== error.message) say('waiting for a primary: ' + error.message);
        said = error.message;
      }
      if (connection) connection.close();
    }
    if (Date.now() > until) throw new Error('the running set has no primary, so no data can be loaded');
    await new Promise((resolve) => setTimeout(resolve, 3000));
  }
}

async function databasesOf(connection) {
  const { databases } = await connection.run('admin', { listDatabases: 1, nameOnly: true });
  return databases.map(({ name }) => name).filter((name) => !['local', 'config'].includes(name));
}

async function collectionsOf(connection, db) {
  const found = await connection.all(db, { listCollections: 1 });
  return found.map((bytes) => ({ ...decode(bytes), bytes })).filter(({ name }) => db !== 'admin' || name !== RECORD);
}

/** The first collection of a database that has documents. */
async function holds(connection, db) {
  for (const { name, type } of await collectionsOf(connection, db)) {
    if (type === 'view' || name.startsWith('system.')) continue;
    if ((await connection.all(db, { find: name, limit: 1, singleBatch: true })).length > 0) return name;
  }
  return undefined;
}

/** The collection that stores the documents: a time series stores them in buckets. */
const storeOf = ({ name, type }) => (type === 'timeseries' ? 'system.buckets.' + name : name);

async function copyCollection(source, target, db, collection) {
  const { name, type, bytes } = collection;
  const options = elements(elements(bytes).find(({ key }) => key === 'options').bytes).filter(
    ({ key }) => key !== 'uuid',
  );
  await target.run(db, { drop: name }).catch((error) => {
    if (error.code !== 26) throw error;
  });
  await target.run(db, { create: name, ...Object.fromEntries(options.map((option) => [option.key, option])) });
  if (type === 'view') return 0;
  let count = 0;
  for await (const documents of source.batches(db, { find: storeOf(collection), batchSize: 5000 })) {
    if (documents.length === 0) continue;
    await target.run(
      db,
      { insert: storeOf(collection), ordered: true, bypassDocumentValidation: true, writeConcern: MAJORITY },
      { name: 'documents', documents },
    );
    count += documents.length;
  }
  return count;
}

/** Builds indexes after the documents: once each, and a TTL index must not delete documents before they are compared. */
async function copyIndexes(source, target, db, { name, type }) {
  if (type === 'view') return;
  const found = (await source.all(db, { listIndexes: name })).filter((bytes) => {
    const { name: index, clustered } = decode(bytes);
    return index !== '_id_' && clustered !== true;
  });
  if (found.length > 0)
    await target.run(db, {
      createIndexes: name,
      indexes: found.map((bytes) => new Raw(bytes)),
      writeConcern: MAJORITY,
    });
}

async function hashesOf(connection, db, names) {
  const { collections } = await connection.run(db, { dbHash: 1, collections: names });
  return collections;
}

/** For collections that dbHash skips, such as buckets of time series. */
async function digestOf(connection, db, collection) {
  const hash = crypto.createHash('sha256');
  for await (const documents of connection.batches(db, {
    find: storeOf(collection),
    sort: { _id: 1 },
    batchSize: 5000,
  }))
    for (const bytes of documents) hash.update(bytes);
  return hash.digest('hex');
}

async function difference(source, target, db, collection) {
  if (collection.type === 'view') return false;
  const name = storeOf(collection);
  const [one, other] = [await hashesOf(source, db, [name]), await hashesOf(target, db, [name])];
  if (one[name] !== undefined && other[name] !== undefined) return one[name] !== other[name];
  return (await digestOf(source, db, collection)) !== (await digestOf(target, db, collection));
}

/** The progress of the last restore of a database. @throws Refused if the database has other documents */
async function standOf(target, db, { snapshot, replace }) {
  const [old] = (await target.all('admin', { find: RECORD, filter: { _id: db } })).map(decode);
  const full = await holds(target, db);
  const goesOn = old !== undefined && old.state === 'loading' && old.snapshot === snapshot;
  if (old && old.state === 'done' && old.snapshot === snapshot && full && !replace) return { isDone: true };
  if (full && !(old && old.state === 'loading') && !replace)
    throw new Refused(
      db +
        ' already has documents (in ' +
        full +
        '), and a restore loads only into an empty database; add --replace to delete what ' +
        db +
        ' has now',
    );
  return { goesOn, done: goesOn ? old.done : [] };
}

async function loadDatabase(source, target, db, snapshot, stand) {
  if (stand.isDone) {
    say(db + ': already loaded from this backup, unchanged');
    return 0;
  }
  const done = new Set(stand.done);
  const record = (state) =>
    target.run('admin', {
      update: RECORD,
      updates: [{ q: { _id: db }, u: { _id: db, state, snapshot, done: [...done] }, upsert: true }],
      writeConcern: MAJORITY,
    });
  await record('loading');
  if (!stand.goesOn && db !== 'admin') await target.run(db, { dropDatabase: 1, writeConcern: MAJORITY });
  let sum = 0;
  for (const collection of plan(await collectionsOf(source, db))) {
    if (done.has(collection.name)) continue;
    const count = await copyCollection(source, target, db, collection);
    if (await difference(source, target, db, collection))
      throw new Refused(
        db +
          '.' +
          collection.name +
          ' differs from the backup after the load: something else writes to it; stop the services that write, and run this again with --replace',
      );
    await copyIndexes(source, target, db, collection);
    done.add(collection.name);
    await record('loading');
    sum += count;
    say(db + '.' + collection.name + ': ' + (collection.type === 'view' ? 'a view' : count + ' documents, equal'));
  }
  await record('done');
  return sum;
}

/**
 * Users and roles that people created. The homelab itself creates root and the clients' users, with the passwords of its secrets.
 * MongoDB merges them, with their password hashes.
 */
async function loadUsers(source, target, only) {
  const absent = async (name, filter) => {
    const there = (await target.all('admin', { find: name, projection: { _id: 1 } })).map((bytes) => decode(bytes)._id);
    const ours = only === undefined ? {} : { db: only };
    return source.all('admin', { find: name, filter: { ...filter, ...ours, _id: { $nin: there } } });
  };
  const users = await absent('system.users', { 'customData.madeBy': { $ne: 'users-job' }, user: { $ne: 'root' } });
  const roles = await absent('system.roles', { role: { $ne: 'schemaMigrations' } });
  const [ofUsers, ofRoles] = ['collabRestoreUsers', 'collabRestoreRoles'];
  for (const [name, documents] of [
    [ofUsers, users],
    [ofRoles, roles],
  ]) {
    await target.run('admin', { drop: name }).catch(() => undefined);
    await target.run('admin', { create: name });
    if (documents.length > 0)
      await target.run('admin', { insert: name, writeConcern: MAJORITY }, { name: 'documents', documents });
  }
  if (users.length + roles.length > 0)
    await target.run('admin', {
      _mergeAuthzCollections: 1,
      tempUsersCollection: 'admin.' + ofUsers,
      tempRolesCollection: 'admin.' + ofRoles,
      drop: false,
      db: '',
      writeConcern: MAJORITY,
    });
  for (const name of [ofUsers, ofRoles]) await target.run('admin', { drop: name });
  say('restored users and roles that people created: ' + users.length + ' and ' + roles.length);
}

/** Blocks writes of clients during the load: their documents would mix with those of the backup. Root may write. */
async function writesBlocked(target, blocked) {
  try {
    await target.run('admin', { setUserWriteBlockMode: 1, global: blocked });
    return true;
  } catch (error) {
    // Unknown below feature compatibility version 6.0; the comparison then reports a difference.
    say('writes of clients are not blocked: ' + error.message);
    return false;
  }
}

async function loadAll(source, snapshot, manifest) {
  const only = process.env.RESTORE_ONLY || undefined;
  const replace = process.env.RESTORE_REPLACE === 'yes';
  const wanted = (await databasesOf(source)).filter((db) => only === undefined || db === only);
  if (wanted.length === 0)
    throw new Refused(
      'the backup has no database' +
        (only ? ' ' + only : '') +
        ', got ' +
        ((await databasesOf(source)).join(', ') || 'none') +
        '; nothing was changed',
    );
  const { hosts } = JSON.parse(fs.readFileSync(process.env.TARGET || path.join(__dirname, 'target.json'), 'utf8'));
  const target = await primaryOf({ hosts, user: process.env.ROOT_USERNAME, password: process.env.ROOT_PASSWORD });
  // Checks every database before it loads one.
  const stands = [];
  for (const db of wanted) stands.push([db, await standOf(target, db, { snapshot: snapshot.id, replace })]);
  const blocked = only === undefined && (await writesBlocked(target, true));
  let documents = 0;
  try {
    for (const [db, stand] of stands) documents += await loadDatabase(source, target, db, snapshot.id, stand);
    await loadUsers(source, target, only);
  } finally {
    if (blocked) await writesBlocked(target, false);
  }
  target.close();
  return { restored: { snapshot: snapshot.time, databases: wanted, documents, from: manifest.member } };
}

/** Checks that every collection is intact and has the number of documents that the backup recorded. */
async function drill(source, snapshot, manifest) {
  const wrong = [];
  let documents = 0;
  for (const db of Object.keys(manifest.databases))
    for (const [name, count] of Object.entries(manifest.databases[db])) {
      if (name.startsWith('system.') && !name.startsWith('system.buckets.')) continue;
      const { errors } = await source.run(db, { validate: name });
      const { n } = await source.run(db, { count: name, query: { _id: { $exists: true } } });
      documents += Number(n);
      // A document that is older than its validator is not damaged.
      const damage = errors.filter((error) => !/not compliant with the collection's schema/.test(error));
      if (damage.length > 0) wrong.push(db + '.' + name + ' is damaged: ' + damage.join('; '));
      if (count !== null && Number(n) !== count)
        wrong.push(db + '.' + name + ' has ' + n + ' documents, but had ' + count + ' in the backup');
    }
  if (wrong.length > 0) throw new Refused('the backup of ' + snapshot.time + ' is damaged: ' + wrong.join(', '));
  return { drill: { ok: true, snapshot: snapshot.time, documents } };
}

async function main() {
  const began = Date.now();
  const [snapshot] = JSON.parse(fs.readFileSync(path.join(STAGE, 'fetched.json'), 'utf8')).snapshots;
  const manifest = JSON.parse(fs.readFileSync(path.join(snapshot.path, 'manifest.json'), 'utf8'));
  if (manifest.kind !== 'mongodb') throw new Refused('the backup must be one of MongoDB, got ' + manifest.kind);
  say(
    'starting a mongod on the backup of ' +
      snapshot.time +
      ' (' +
      manifest.member +
      ', MongoDB ' +
      manifest.version +
      ')',
  );
  const { child, source } = await startMongod(snapshot.path);
  const isDrill = process.env.RESTORE_DRILL === 'yes';
  const result = isDrill ? await drill(source, snapshot, manifest) : await loadAll(source, snapshot, manifest);
  const [[kind, told]] = Object.entries(result);
  source.close();
  const ended = new Promise((resolve) => child.on('exit', resolve));
  child.kill('SIGTERM');
  await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, 60000))]);
  for (const name of fs.readdirSync(STAGE)) fs.rmSync(path.join(STAGE, name), { recursive: true, force: true });
  console.log(JSON.stringify({ [kind]: { ...told, seconds: Math.round((Date.now() - began) / 1000) } }));
}

async function start() {
  // Process 1 has no default handler.
  process.on('SIGTERM', () => process.exit(143));
  try {
    await main();
    process.exit(0);
  } catch (error) {
    say('restore: ' + (error instanceof Refused ? 'refused: ' : 'failed: ') + error.message);
    process.exit(error instanceof Refused ? 3 : 1);
  }
}

module.exports = { plan, start };
