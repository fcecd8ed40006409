'use strict';
// What to do next, from what is known. Pure: no database, no clock.
//   self      index of this pod
//   own       hello of the mongod beside us: { setName, primary, seesPrimary }, or null when it does not answer
//   others    { host: 'unreachable' | { setName } } for every other wanted member; asked only while we see no primary
//   refusedBy the first of them that refuses this member's keyfile
//   quiet     seconds for which 'others' has been the same
//   config    members of the set as they are: [{ _id, host, votes, priority, hidden, secondaryDelaySecs }]; only on the primary
//   states    { host: 'PRIMARY' | 'SECONDARY' | ... }; only on the primary
//   troubles  { host: what the last heartbeat to it said, where it failed }; only on the primary
//   compatibility  feature compatibility version of the set; only on the primary, and where one is wanted
//   binaries  { host: version of its mongod, or null where it does not answer }; only where compatibility is not the wanted one
function decide(wanted, state) {
  const me = wanted.members[state.self];
  if (!state.own) return { do: 'wait', why: 'mongod beside this container does not answer yet' };
  if (state.refusedBy) {
    const why =
      state.refusedBy +
      ' refuses the keyfile of this member: the secret was changed after that pod had started, or differs there; put the old keyfile back, or restart all members at once';
    return { do: 'wait', why };
  }
  if (!state.own.setName) return decideFirst(wanted, state, me);
  if (!state.own.primary) return { do: 'watch', why: 'another member is primary, or none is yet' };
  if (state.root === 'missing') return { do: 'create-root', why: 'the set has no root user yet' };
  return decideMembers(wanted, state, (me || {}).host);
}

// Nothing may be initiated twice: an empty member 0 of an existing set looks like a new one, and so does a member that
// has not loaded its configuration yet.
function decideFirst(wanted, state, me) {
  const named = Object.keys(state.others).filter(
    (host) => state.others[host] !== 'unreachable' && state.others[host].setName,
  );
  if (state.self !== 0 && named.length === 0)
    return { do: 'wait', why: 'member 0 initiates the set and adds this one' };
  if (named.length > 0)
    return { do: 'wait', why: 'the set exists on ' + named.join(', ') + '; this empty member is synced by it' };
  const silent = Object.keys(state.others).filter((host) => state.others[host] === 'unreachable');
  if (silent.length > 0)
    return { do: 'wait', why: 'a new set needs an answer from every member, missing: ' + silent.join(', ') };
  if (state.quiet < wanted.quietSeconds)
    return { do: 'wait', why: 'every member is new; waiting ' + wanted.quietSeconds + ' s to be sure' };
  return { do: 'initiate', member: me, why: 'every member is new' };
}

function decideMembers({ members: wanted, featureCompatibilityVersion }, state, myHost) {
  const healthy = (member) => state.states[member.host] === 'PRIMARY' || state.states[member.host] === 'SECONDARY';
  const extra = state.config
    .filter((member) => !wanted.some((each) => each.host === member.host))
    .sort((a, b) => b._id - a._id);
  if (extra.length > 0) return decideRemoval(extra, state, healthy, myHost);
  const unsettled = state.config.filter((member) => !healthy(member));
  const described = (members) =>
    members
      .map(
        ({ host }) => host + ' (' + [state.states[host], (state.troubles || {})[host]].filter(Boolean).join(': ') + ')',
      )
      .join(', ');
  const missing = wanted.filter((member) => !state.config.some((each) => each.host === member.host));
  if (missing.length > 0) {
    if (unsettled.length > 0)
      return { do: 'wait', why: 'before the next member is added, these must be synced: ' + described(unsettled) };
    return { do: 'add', member: missing[0], why: 'wanted and not in the set' };
  }
  const change = decideChange(wanted, state, healthy, myHost);
  if (change) return change;
  const raise = decideCompatibility(featureCompatibilityVersion, state);
  if (raise && unsettled.length === 0) return raise;
  return {
    do: 'nothing',
    why: unsettled.length > 0 ? 'as wanted, but not well: ' + described(unsettled) : 'as wanted: ' + hosts(wanted),
  };
}

// Votes are given before others are taken, one member a step, and only when the voters that are well are a majority afterwards.
function decideChange(wanted, state, healthy, myHost) {
  const now = (member) => state.config.find((each) => each.host === member.host);
  const gain = (member) => member.votes - now(member).votes;
  const [member] = wanted
    .filter((each) => settingsOf(each) !== settingsOf(now(each)))
    .sort((a, b) => gain(b) - gain(a));
  if (!member) return null;
  const voters = state.config.filter((each) => (each.host === member.host ? member : each).votes > 0);
  const well = voters.filter(healthy).length;
  if (gain(member) !== 0 && well < Math.floor(voters.length / 2) + 1)
    return {
      do: 'wait',
      why:
        'with the wanted votes of ' +
        member.host +
        ' there would be no majority: ' +
        well +
        ' of ' +
        voters.length +
        ' voters are well',
    };
  // A primary may not take its own priority away.
  if (member.priority === 0 && member.host === myHost)
    return { do: 'step-down', why: member.host + ' is primary, and is wanted with priority 0' };
  return { do: 'change', member, why: 'wanted with ' + settingsOf(member) };
}

function settingsOf({ votes, priority, hidden, secondaryDelaySecs }) {
  return (
    'votes ' +
    votes +
    ', priority ' +
    priority +
    (hidden ? ', hidden' : '') +
    (Number(secondaryDelaySecs || 0) > 0 ? ', ' + secondaryDelaySecs + ' s behind' : '')
  );
}

// Raised when it is asked for and every member runs a mongod that knows it: afterwards an older mongod refuses the files.
function decideCompatibility(wanted, { compatibility, binaries }) {
  if (!wanted || !compatibility || compatibility === wanted) return null;
  const is = 'the feature compatibility version is ' + compatibility + ', and ' + wanted + ' is wanted: ';
  if (isOlder(wanted, compatibility))
    return { do: 'wait', why: is + 'it is never lowered from here; write ' + compatibility + ', or leave it out' };
  const old = Object.keys(binaries).filter((host) => binaries[host] === null || isOlder(binaries[host], wanted));
  if (old.length > 0)
    return {
      do: 'wait',
      why:
        is +
        'first these must run it: ' +
        old.map((host) => host + ' (' + (binaries[host] || 'no answer') + ')').join(', '),
    };
  return { do: 'raise-compatibility', to: wanted, why: is + 'every member runs it' };
}

function isOlder(version, than) {
  const [a, b] = [version, than].map((each) => each.split('.').map(Number));
  return a[0] !== b[0] ? a[0] < b[0] : a[1] < b[1];
}

// One voter a step, the highest first, and only when those who stay can elect a primary without the one who goes.
function decideRemoval(extra, state, healthy, myHost) {
  const goes = extra[0];
  const stay = state.config.filter((member) => member.host !== goes.host && member.votes > 0);
  const well = stay.filter(healthy).length;
  if (well < Math.floor(stay.length / 2) + 1) {
    return {
      do: 'wait',
      why: 'without ' + goes.host + ' there would be no majority: ' + well + ' of ' + stay.length + ' voters are well',
    };
  }
  if (goes.host === myHost || state.states[goes.host] === 'PRIMARY')
    return { do: 'step-down', why: goes.host + ' is no longer wanted and is primary' };
  return { do: 'remove', member: goes, why: 'no longer wanted' };
}

function hosts(members) {
  return members.map((member) => member.host).join(', ');
}

/* global snapshots -- of snapshot.js, where backups are made */
if (typeof Mongo !== 'undefined') {
  const fs = require('fs');
  const LOOPBACK = process.env.LOOPBACK || '127.0.0.1:27017';
  // As files, which the kubelet writes again within two minutes: a password that is rotated restarts nothing.
  const LOGIN = process.env.ROOT_LOGIN || '/root-login';
  const login = (key) => fs.readFileSync(LOGIN + '/' + key, 'utf8');
  const KEYFILE = process.env.KEYFILE || '/keyfile/keyfile';
  const isRefusal = (error) => error.code === 18 || /Authentication failed/.test(String(error));
  process.on('SIGTERM', () => process.exit(0));

  // One connection for each host and login, for ever: mongosh closes none by itself, and each costs memory here and in mongod.
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
        // It is gone either way.
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

  // 'missing' when root cannot log in: then loopback may make it, unless there are users already.
  const rootState = () => {
    try {
      asRoot().runCommand({ ping: 1 });
      return 'there';
    } catch (error) {
      if (!isRefusal(error)) throw error;
      return 'missing';
    }
  };

  // Members log in to each other as __system with the first key of the keyfile, whose line breaks do not count. While it is
  // rotated, it is a list of two.
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
        'the set has users, and the root password in the secret is not the one that it knows: while it is rotated the job NAME-users changes it; otherwise put the old one back, or change it in the set',
        { cause: error },
      );
    }
  };

  const observe = (wanted, self, memory) => {
    const state = { self, own: hello(LOOPBACK), others: {}, quiet: 0 };
    if (state.own && !state.own.primary && !state.own.seesPrimary) {
      for (const member of wanted.members) {
        if (member._id === self) continue;
        const answer = hello(member.host);
        state.others[member.host] = answer ? { setName: answer.setName } : 'unreachable';
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
        for (const member of admin.runCommand({ replSetGetConfig: 1 }).config.members) {
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

  // 7.0 and newer want a confirmation that older ones do not know.
  const raiseCompatibility = (to) => {
    const confirm = isOlder(binaryOf(LOOPBACK), '7.0') ? {} : { confirm: true };
    asRoot().runCommand(Object.assign({ setFeatureCompatibilityVersion: to }, confirm));
  };

  const reconfigure = (change) => {
    const admin = asRoot();
    const config = admin.runCommand({ replSetGetConfig: 1 }).config;
    config.members = change(config.members);
    config.version += 1;
    admin.runCommand({ replSetReconfig: config });
  };

  const act = (wanted, action) => {
    if (action.do === 'initiate')
      connect(LOOPBACK).runCommand({ replSetInitiate: { _id: wanted.replicaSet, members: [action.member] } });
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

  // Read by the readiness probe: a member that is still copying the data must not count as one that has it.
  const READY = process.env.READY || '/tmp/serves';
  const tellReadiness = (serves) => {
    if (serves) fs.writeFileSync(READY, String(Math.floor(Date.now() / 1000)));
    else fs.rmSync(READY, { force: true });
  };

  // Where backups are made: another container asks for a copy of this member.
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
        // A change of the set would wait for the lock, and nobody would be left to lift it.
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
      // Not while the set is still made or changed: a new one has one member, and would be stored as if that were all.
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
