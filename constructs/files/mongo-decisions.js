'use strict';
// Decisions of the container `reconcile`. Pure: no request, no clock, no file. Loaded by reconcile.js.

// The next action, from the observed state.
//   self      index of this pod
//   own       hello of this pod's mongod: { setName, primary, seesPrimary }, or null if it does not answer
//   others    { host: 'unreachable' | { setName, primary, serves } } for every other wanted member; asked only while we see no primary
//   refusedBy the first of them that rejects this member's keyfile
//   waiting   mongod runs on an empty volume and outside the set until it may join (start.sh)
//   accepted  the operator accepted the loss of data
//   quiet     seconds for which 'others' has been the same
//   config    current members of the set: [{ _id, host, votes, priority, hidden, secondaryDelaySecs }]; only on the primary
//   chaining  whether a secondary may copy from another one; only on the primary
//   states    { host: 'PRIMARY' | 'SECONDARY' | ... }; only on the primary
//   troubles  { host: error of the last heartbeat to it }; only on the primary
//   compatibility  feature compatibility version of the set; only on the primary, if one is wanted
//   binaries  { host: version of its mongod, or null if it does not answer }; only while compatibility differs from the wanted one
// eslint-disable-next-line @typescript-eslint/no-unused-vars -- called by reconcile.js
function decide(wanted, state) {
  const me = wanted.members[state.self];
  if (!state.own) return { do: 'wait', why: 'mongod beside this container does not answer yet' };
  if (state.refusedBy) {
    const why =
      state.refusedBy +
      ' rejects the keyfile of this member: the secret was changed after that pod started, or differs there; restore the old keyfile, or restart all members at once';
    return { do: 'wait', why };
  }
  if (!state.own.setName) return decideFirst(wanted, state, me);
  if (!state.own.primary) return { do: 'watch', why: 'this member is not primary' };
  if (state.root === 'missing') return { do: 'create-root', why: 'the set has no root user yet' };
  return decideMembers(wanted, state, (me || {}).host);
}

// A set must not be initiated twice: an empty member 0 of an existing set looks like a new one, and so does a member that
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
    return { do: 'wait', why: 'every member is new; waiting ' + wanted.quietSeconds + ' s for another answer' };
  if (state.waiting) return { do: 'join', why: 'every member is new' };
  return { do: 'initiate', member: me, why: 'every member is new' };
}

// A primary has a majority of the votes, and members without data have no vote while they wait here: so the primary has
// every write that a majority acknowledged. Without a primary, the remaining data may be old.
function decideJoin(wanted, state, named) {
  if (!state.waiting)
    return { do: 'wait', why: 'the set exists on ' + named.join(', ') + '; it copies its data to this empty member' };
  const primary = named.find((host) => state.others[host].primary);
  if (primary) return { do: 'join', why: primary + ' is primary and has the data; this empty member copies it' };
  if (state.accepted) return { do: 'join', why: 'the operator accepted the data of ' + named.join(', ') };
  if (state.quiet < wanted.quietSeconds)
    return { do: 'wait', why: 'this member is empty, and no member is primary yet' };
  const those = (is) =>
    Object.keys(state.others)
      .filter((host) => is(state.others[host]))
      .join(', ') || 'none';
  return {
    do: 'wait',
    why:
      'this member is empty and no member is primary, so most members may have lost their data (with data: ' +
      those((other) => other.serves) +
      '; also empty: ' +
      those((other) => other !== 'unreachable' && !other.setName) +
      '; no answer: ' +
      those((other) => other === 'unreachable') +
      '): the remaining data may lack acknowledged writes; first start the silent members and try to bring the lost disks back;' +
      ' to accept the loss, and restore a backup afterwards, run in this container: touch /tmp/accept-loss',
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
  // Otherwise a silent secondary delays the ones that copy from it, and with them every write that waits for a majority.
  if (state.chaining) return { do: 'unchain', why: 'every secondary must copy from the primary' };
  const raise = decideCompatibility(featureCompatibilityVersion, state);
  if (raise && unsettled.length === 0) return raise;
  return {
    do: 'nothing',
    why:
      unsettled.length > 0
        ? 'the configuration is as wanted, but these members are not healthy: ' + described(unsettled)
        : 'as wanted: ' + hosts(wanted),
  };
}

// Adds votes before it removes others, one member a step, and only if the healthy voters are a majority afterwards.
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
        ' voters are healthy',
    };
  // A primary cannot set its own priority to 0.
  if (member.priority === 0 && member.host === myHost)
    return { do: 'step-down', why: member.host + ' is primary, but must have priority 0' };
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

// Raises it once every member runs a mongod that supports it: afterwards an older mongod rejects the files.
function decideCompatibility(wanted, { compatibility, binaries }) {
  if (!wanted || !compatibility || compatibility === wanted) return null;
  const is = 'the feature compatibility version is ' + compatibility + ', and ' + wanted + ' is wanted: ';
  if (isOlder(wanted, compatibility))
    return {
      do: 'wait',
      why: is + 'it is never lowered automatically; write ' + compatibility + ', or remove the setting',
    };
  const old = Object.keys(binaries).filter((host) => binaries[host] === null || isOlder(binaries[host], wanted));
  if (old.length > 0)
    return {
      do: 'wait',
      why:
        is +
        'these members must run it first: ' +
        old.map((host) => host + ' (' + (binaries[host] || 'no answer') + ')').join(', '),
    };
  return { do: 'raise-compatibility', to: wanted, why: is + 'every member runs it' };
}

function isOlder(version, than) {
  const [a, b] = [version, than].map((each) => each.split('.').map(Number));
  return a[0] !== b[0] ? a[0] < b[0] : a[1] < b[1];
}

// Removes one voter a step, the highest first, and only if the remaining voters can elect a primary.
function decideRemoval(extra, state, healthy, myHost) {
  const goes = extra[0];
  const stay = state.config.filter((member) => member.host !== goes.host && member.votes > 0);
  const well = stay.filter(healthy).length;
  if (well < Math.floor(stay.length / 2) + 1) {
    return {
      do: 'wait',
      why:
        'without ' + goes.host + ' there would be no majority: ' + well + ' of ' + stay.length + ' voters are healthy',
    };
  }
  if (goes.host === myHost || state.states[goes.host] === 'PRIMARY')
    return { do: 'step-down', why: goes.host + ' is no longer wanted and is primary' };
  return { do: 'remove', member: goes, why: 'no longer wanted' };
}

function hosts(members) {
  return members.map((member) => member.host).join(', ');
}

// For Prometheus. serves: whether the member is primary or secondary; backup: the status of the container `backup` after its
// last attempt, null if there is none.
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
    (backup ? gauge('collab_backup_failed', 'Whether the last backup attempt failed.', backup.error ? 1 : 0) : '')
  );
}
