'use strict';
// The container `reconcile`: brings the set to members.json, one step a round. decisions.js decides the step.

/* global decide, isOlder, metricsText -- of decisions.js */
/* global snapshots -- of snapshot.js, where backups are made */
if (typeof Mongo !== 'undefined') {
  const fs = require('fs');
  load(process.env.DECISIONS || '/config/decisions.js');
  const LOOPBACK = process.env.LOOPBACK || '127.0.0.1:27017';
  // Files, which the kubelet updates within two minutes: a rotated password restarts nothing.
  const LOGIN = process.env.ROOT_LOGIN || '/root-login';
  const login = (key) => fs.readFileSync(LOGIN + '/' + key, 'utf8');
  const KEYFILE = process.env.KEYFILE || '/keyfile/keyfile';
  const isRefusal = (error) => error.code === 18 || /Authentication failed/.test(String(error));
  process.on('SIGTERM', () => process.exit(0));

  // Keeps one connection for each host and login: mongosh closes none by itself, and each costs memory here and in mongod.
  const connections = new Map();
  const connect = (host, user, password, source) => {
    const login = user ? encodeURIComponent(user) + ':' + encodeURIComponent(password) + '@' : '';
    const uri =
      'mongodb://' +
      login +
      host +
      '/' +
      (source || 'admin') +
      '?directConnection=true&serverSelectionTimeoutMS=3000&connectTimeoutMS=3000&maxPoolSize=1';
    if (!connections.has(uri)) connections.set(uri, new Mongo(uri));
    return connections.get(uri).getDB(source || 'admin');
  };
  const forget = (which) => {
    for (const [uri, connection] of Array.from(connections)) {
      if (which && !which(uri)) continue;
      connections.delete(uri);
      try {
        connection.close();
      } catch {
        // The connection is lost anyway.
      }
    }
  };
  const toOthers = (uri) => !uri.includes(LOOPBACK);
  const asRootAt = (host) => connect(host, login('username'), login('password'));
  const asRoot = () => asRootAt(LOOPBACK);

  const hello = (host) => {
    try {
      const answer = connect(host).runCommand({ hello: 1 });
      const primary = answer.isWritablePrimary === true;
      return {
        setName: answer.setName || null,
        primary,
        seesPrimary: Boolean(answer.primary),
        serves: primary || answer.secondary === true,
      };
    } catch {
      return null;
    }
  };

  // 'missing' if root cannot log in: then loopback may create it, unless the set has users already.
  const rootState = () => {
    try {
      asRoot().runCommand({ ping: 1 });
      return 'there';
    } catch (error) {
      if (!isRefusal(error)) throw error;
      return 'missing';
    }
  };

  // Members log in to each other as __system with the first key of the keyfile, without its line breaks. During a rotation
  // the keyfile is a list of two keys.
  const key = () => {
    const text = fs.readFileSync(KEYFILE, 'utf8');
    const [, first] = /^- (\S+)$/m.exec(text) || [];
    return first || text.replace(/\s/g, '');
  };
  const refusesKeyfile = (host) => {
    try {
      connect(host, '__system', key(), 'local').runCommand({ ping: 1 });
      return false;
    } catch (error) {
      return isRefusal(error);
    }
  };

  const createRoot = () => {
    try {
      connect(LOOPBACK).runCommand({ createUser: login('username'), pwd: login('password'), roles: ['root'] });
    } catch (error) {
      if (error.code !== 13) throw error;
      throw new Error(
        'the set has users, but rejects the root password of the secret; during a rotation wait for the job NAME-users; otherwise restore the old password in the secret, or change the password in the set',
        { cause: error },
      );
    }
  };

  const observe = (wanted, self, memory) => {
    const state = { self, own: hello(LOOPBACK), others: {}, quiet: 0 };
    state.waiting = fs.existsSync('/tmp/waiting');
    state.accepted = fs.existsSync('/tmp/accept-loss');
    if (state.own && !state.own.primary && !state.own.seesPrimary) {
      for (const member of wanted.members) {
        if (member._id === self) continue;
        const answer = hello(member.host);
        const { setName, primary, serves } = answer || {};
        state.others[member.host] = answer ? { setName, primary, serves } : 'unreachable';
      }
      const seen = JSON.stringify(state.others);
      if (seen !== memory.seen) memory.since = Date.now();
      memory.seen = seen;
      state.quiet = (Date.now() - memory.since) / 1000;
      const answering = Object.keys(state.others).filter((host) => state.others[host] !== 'unreachable');
      if (answering.some((host) => state.others[host].setName)) state.refusedBy = answering.find(refusesKeyfile);
    } else forget(toOthers);
    if (state.own && state.own.primary) {
      state.root = rootState();
      if (state.root === 'there') {
        const admin = asRoot();
        state.config = [];
        const { members, settings } = admin.runCommand({ replSetGetConfig: 1 }).config;
        state.chaining = settings.chainingAllowed;
        for (const member of members) {
          const { _id, host, votes, priority, hidden } = member;
          // The delay is a Long.
          const secondaryDelaySecs = Number(member.secondaryDelaySecs);
          state.config.push({ _id, host, votes, priority, hidden, secondaryDelaySecs });
        }
        state.states = {};
        state.troubles = {};
        state.lags = {};
        const all = admin.runCommand({ replSetGetStatus: 1 }).members;
        const newest = Math.max(...all.map((member) => (member.optimeDate ? member.optimeDate.getTime() : 0)));
        for (const member of all) {
          state.states[member.name] = member.stateStr;
          if (member.optimeDate) state.lags[member.name] = (newest - member.optimeDate.getTime()) / 1000;
          if (member.lastHeartbeatMessage) state.troubles[member.name] = member.lastHeartbeatMessage;
        }
        if (wanted.featureCompatibilityVersion) observeCompatibility(wanted, state, admin);
      }
    }
    return state;
  };

  const observeCompatibility = (wanted, state, admin) => {
    const { featureCompatibilityVersion: now } = admin.runCommand({ getParameter: 1, featureCompatibilityVersion: 1 });
    state.compatibility = now.version;
    if (now.version === wanted.featureCompatibilityVersion) return;
    state.binaries = {};
    for (const { host } of state.config) state.binaries[host] = binaryOf(host);
  };

  const binaryOf = (host) => {
    try {
      return asRootAt(host).runCommand({ buildInfo: 1 }).version;
    } catch {
      return null;
    }
  };

  // 7.0 and newer require a confirmation; older versions reject it.
  const raiseCompatibility = (to) => {
    const confirm = isOlder(binaryOf(LOOPBACK), '7.0') ? {} : { confirm: true };
    asRoot().runCommand(Object.assign({ setFeatureCompatibilityVersion: to }, confirm));
  };

  const reconfigure = (change, settings) => {
    const admin = asRoot();
    const config = admin.runCommand({ replSetGetConfig: 1 }).config;
    config.members = change(config.members);
    Object.assign(config.settings, settings);
    config.version += 1;
    admin.runCommand({ replSetReconfig: config });
  };

  const SETTINGS = { chainingAllowed: false };
  const act = (wanted, action) => {
    if (action.do === 'join') fs.writeFileSync('/tmp/join', '');
    if (action.do === 'initiate')
      connect(LOOPBACK).runCommand({
        replSetInitiate: { _id: wanted.replicaSet, members: [action.member], settings: SETTINGS },
      });
    if (action.do === 'unchain') reconfigure((members) => members, SETTINGS);
    if (action.do === 'create-root') createRoot();
    if (action.do === 'raise-compatibility') raiseCompatibility(action.to);
    if (action.do === 'add') {
      // Numbers of members are never used again, so a new one takes the next free above its own.
      reconfigure((members) =>
        members.concat([
          Object.assign({}, action.member, {
            _id: Math.max(action.member._id, ...members.map((each) => each._id + 1)),
          }),
        ]),
      );
    }
    if (action.do === 'remove') reconfigure((members) => members.filter((each) => each.host !== action.member.host));
    if (action.do === 'change') {
      const { host, votes, priority, hidden = false, secondaryDelaySecs = 0 } = action.member;
      reconfigure((members) =>
        members.map((each) =>
          each.host === host ? Object.assign({}, each, { votes, priority, hidden, secondaryDelaySecs }) : each,
        ),
      );
    }
    if (action.do === 'step-down') {
      try {
        asRoot().runCommand({ replSetStepDown: 60 });
      } catch (error) {
        print('stepping down: ' + error.message);
      }
    }
  };

  // Read by the readiness probe: a member that still copies its data is not ready.
  const READY = process.env.READY || '/tmp/serves';
  const tellReadiness = (serves) => {
    if (serves) fs.writeFileSync(READY, String(Math.floor(Date.now() / 1000)));
    else fs.rmSync(READY, { force: true });
  };

  // With backups, another container requests a copy of this member.
  const backups = process.env.HANDOVER
    ? (load(process.env.SNAPSHOT || '/config/snapshot.js'),
      snapshots({
        data: process.env.DATA || '/data/db',
        handover: process.env.HANDOVER,
        run: (command, db) =>
          asRoot()
            .getSiblingDB(db || 'admin')
            .runCommand(command),
        say: (text) => print(new Date().toISOString() + ' ' + text),
      }))
    : null;
  // Read by `npm run homelab -- status`.
  const STATUS = process.env.STATUS || '/tmp/status.json';
  const tellStatus = (status) => {
    const now = { time: Math.floor(Date.now() / 1000) };
    fs.writeFileSync(STATUS + '.new', JSON.stringify(Object.assign(now, status)));
    fs.renameSync(STATUS + '.new', STATUS);
  };
  // Only with a scraper. Answers between two rounds, within a second or two.
  if (process.env.METRICS_PORT) {
    const backup = () => {
      try {
        return JSON.parse(fs.readFileSync(process.env.HANDOVER + '/status.json', 'utf8'));
      } catch {
        return null;
      }
    };
    const server = require('http').createServer((request, response) => {
      const found = request.url === '/metrics';
      response.writeHead(found ? 200 : 404, { 'Content-Type': 'text/plain; version=0.0.4' });
      response.end(found ? metricsText({ serves: fs.existsSync(READY), backup: backup() }) : '');
    });
    server.listen(Number(process.env.METRICS_PORT));
  }
  const membersOf = (state) =>
    (state.config || []).map(({ host }) => ({ host, state: state.states[host], lagSeconds: state.lags[host] }));

  const setMembers = () => {
    const admin = asRoot();
    const config = admin.runCommand({ replSetGetConfig: 1 }).config.members;
    return admin.runCommand({ replSetGetStatus: 1 }).members.map((member) => {
      const { hidden, secondaryDelaySecs } = config.find(({ host }) => host === member.name) || {};
      return Object.assign({}, member, { hidden: Boolean(hidden), delayed: Number(secondaryDelaySecs || 0) > 0 });
    });
  };
  const self = Number(process.env.POD_NAME.split('-').pop());
  const memory = { seen: '', since: Date.now() };
  let said = '';
  let saidAt = 0;
  for (;;) {
    const wanted = JSON.parse(fs.readFileSync(process.env.MEMBERS || '/config/members.json', 'utf8'));
    try {
      if (backups && backups.locked()) {
        // A change of the set would wait for the lock that only this loop releases.
        const own = hello(LOOPBACK);
        tellReadiness(own !== null && own.serves);
        backups.round(setMembers);
        sleep(500);
        continue;
      }
      const state = observe(wanted, self, memory);
      tellReadiness(state.own !== null && state.own.serves);
      const action = decide(wanted, state);
      const line = action.do + (action.member ? ' ' + action.member.host : '') + ': ' + action.why;
      if (line !== said || Date.now() - saidAt > 60000) {
        print(new Date().toISOString() + ' ' + line);
        said = line;
        saidAt = Date.now();
      }
      tellStatus({ action: line, members: membersOf(state) });
      act(wanted, action);
      // Not while the set is created or changed: a new set has one member, and its backup would have only that one.
      if (backups && state.own && state.own.serves && ['nothing', 'watch'].includes(action.do))
        backups.round(setMembers);
    } catch (error) {
      tellStatus({ error: 'failed, trying again: ' + error.message });
      print(new Date().toISOString() + ' failed, trying again: ' + error.message);
      forget();
    }
    sleep(backups && backups.locked() ? 500 : wanted.intervalSeconds * 1000);
  }
}
