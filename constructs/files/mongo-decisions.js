'use strict';
// Decisions of the container `reconcile`. Pure: no database, no clock, no file. Loaded by reconcile.js.

// What to do next, from what is known.
//   self      index of this pod
//   own       hello of the mongod beside us: { setName, primary, seesPrimary }, or null when it does not answer
//   others    { host: 'unreachable' | { setName, primary, serves } } for every other wanted member; asked only while we see no primary
//   refusedBy the first of them that refuses this member's keyfile
//   waiting   mongod runs on an empty volume and apart from the set, until it may join (start.sh)
//   accepted  someone agreed to go on with what is left
//   quiet     seconds for which 'others' has been the same
//   config    members of the set as they are: [{ _id, host, votes, priority, hidden, secondaryDelaySecs }]; only on the primary
//   chaining  whether a secondary may copy from another one; only on the primary
//   states    { host: 'PRIMARY' | 'SECONDARY' | ... }; only on the primary
//   troubles  { host: what the last heartbeat to it said, where it failed }; only on the primary
//   compatibility  feature compatibility version of the set; only on the primary, and where one is wanted
//   binaries  { host: version of its mongod, or null where it does not answer }; only where compatibility is not the wanted one
// eslint-disable-next-line @typescript-eslint/no-unused-vars -- called by reconcile.js
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
  if (named.length > 0) return decideJoin(wanted, state, named);
  const silent = Object.keys(state.others).filter((host) => state.others[host] === 'unreachable');
  if (silent.length > 0)
    return { do: 'wait', why: 'a new set needs an answer from every member, missing: ' + silent.join(', ') };
  if (state.quiet < wanted.quietSeconds)
    return { do: 'wait', why: 'every member is new; waiting ' + wanted.quietSeconds + ' s to be sure' };
  if (state.waiting) return { do: 'join', why: 'every member is new' };
  return { do: 'initiate', member: me, why: 'every member is new' };
}

// A primary was elected by a majority of the votes, and members without data have none as long as they wait here: so it has
// every write that a majority acknowledged. Without one, what is left may be an old copy.
function decideJoin(wanted, state, named) {
  if (!state.waiting)
    return { do: 'wait', why: 'the set exists on ' + named.join(', ') + '; this empty member is synced by it' };
  const primary = named.find((host) => state.others[host].primary);
  if (primary) return { do: 'join', why: primary + ' is primary and has the data; this empty member copies it' };
  if (state.accepted) return { do: 'join', why: 'someone agreed to go on with what ' + named.join(', ') + ' has' };
  if (state.quiet < wanted.quietSeconds)
    return { do: 'wait', why: 'this member is empty, and no member is primary yet' };
  const those = (is) =>
    Object.keys(state.others)
      .filter((host) => is(state.others[host]))
      .join(', ') || 'none';
  return {
    do: 'wait',
    why:
      'this member has no data and no member is primary, so most copies may be gone (with data: ' +
      those((other) => other.serves) +
      '; empty too: ' +
      those((other) => other !== 'unreachable' && !other.setName) +
      '; no answer: ' +
      those((other) => other === 'unreachable') +
      '): what is left may lack acknowledged writes; start those that do not answer, and look for the lost disks first; to go on with' +
      ' what is left, and restore a backup afterwards: touch /tmp/accept-loss in this container',
  };
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
  // Else a secondary that falls silent holds up those that copy from it, and with them every write that waits for a majority.
  if (state.chaining) return { do: 'unchain', why: 'every secondary shall copy from the primary' };
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

// For Prometheus. serves: whether the member is primary or secondary; backup: what the container `backup` says of its last
// try, null where there is none.
// eslint-disable-next-line @typescript-eslint/no-unused-vars -- called by reconcile.js
function metricsText({ serves, backup }) {
  const gauge = (name, help, value) =>
    '# HELP ' + name + ' ' + help + '\n# TYPE ' + name + ' gauge\n' + name + ' ' + value + '\n';
  return (
    gauge('collab_mongodb_serves', 'Whether this member is primary or secondary.', serves ? 1 : 0) +
    (backup && backup.newest
      ? gauge(
          'collab_backup_newest_timestamp_seconds',
          'When the newest backup of the set was taken.',
          Date.parse(backup.newest) / 1000,
        )
      : '') +
    (backup ? gauge('collab_backup_failed', 'Whether the last try of a backup failed.', backup.error ? 1 : 0) : '')
  );
}
