'use strict';
// Makes a consistent copy of this member's files for the container `backup`, which requests it with /handover/request.
// Loaded by reconcile.js, which calls snapshots(...).round(...) every few seconds.

// Decides which member is copied: the last secondary that keeps up, a hidden one before the others, so that the
// primary never waits for a backup. Never a delayed member: its data is old.
//   members  of replSetGetStatus: [{ name, stateStr, optimeDate, self }], with hidden and delayed from the configuration
function chosenMember(members) {
  const me = members.find((member) => member.self);
  if (!me) return { state: 'failed', why: 'this member has not joined the set yet' };
  if (me.delayed) return { state: 'skip', why: 'this member is delayed, so its data is old' };
  const newest = Math.max(...members.map((member) => Number(member.optimeDate || 0)));
  const ordinal = (name) => Number(/-(\d+)\./.exec(name)?.[1] ?? -1);
  const fit = members
    .filter(
      (member) => !member.delayed && member.stateStr === 'SECONDARY' && newest - Number(member.optimeDate) < 120000,
    )
    .sort((a, b) => Number(b.hidden || 0) - Number(a.hidden || 0) || ordinal(b.name) - ordinal(a.name));
  if (fit.length > 0)
    return fit[0] === me
      ? { state: 'ready' }
      : { state: 'skip', why: fit[0].name + ' makes the backup: it is the last secondary that keeps up' };
  if (members.filter((member) => !member.delayed).length === 1 && me.stateStr === 'PRIMARY')
    return { state: 'ready', primary: true };
  if (me.stateStr === 'PRIMARY')
    return { state: 'failed', why: 'no secondary keeps up with the primary, and the primary is not copied' };
  return { state: 'skip', why: 'this member is ' + me.stateStr };
}

// The entries of mongod's folder that a copy needs: no files of the running process, no remains of other copies.
function isData(name) {
  return !['mongod.lock', 'WiredTiger.lock', 'diagnostic.data', '_tmp', 'lost+found', 'restore', '.backup'].includes(
    name,
  );
}

//   data, handover  folders
//   run(command)    on the admin database of this member, as root, on a lasting connection: a locked member may accept no new one
//   say(text)       logs a line
//   limits          { secondary, primary } seconds for which a member may be locked; copy: how files are copied
// eslint-disable-next-line @typescript-eslint/no-unused-vars -- called by reconcile.js
function snapshots({ data, handover, run, say, limits = { secondary: 1800, primary: 600 } }) {
  const fs = require('fs');
  const path = require('path');
  const { spawn } = require('child_process');
  const copy = path.join(data, '.backup', 'copy');
  const at = (name) => path.join(handover, name);
  const json = (file) => {
    try {
      return JSON.parse(fs.readFileSync(file, 'utf8'));
    } catch {
      return null;
    }
  };
  let job = null;

  const answer = (id, what) => {
    fs.writeFileSync(at('answer.tmp'), JSON.stringify(Object.assign({ id }, what)));
    fs.renameSync(at('answer.tmp'), at('answer'));
  };
  const lock = () => {
    // Writes the mark first: without it, nobody would release the lock after a crash.
    fs.writeFileSync(at('locked'), '');
    run({ fsync: 1, lock: true });
  };
  // Returns whether the member was locked until now.
  const unlock = () => {
    if (!fs.existsSync(at('locked'))) return false;
    let held = true;
    try {
      while (run({ fsyncUnlock: 1 }).lockCount > 0);
    } catch (error) {
      // Code 125 (20 in older versions): not locked. mongod was restarted meanwhile, or never took the lock.
      if (!/not locked|fsyncUnlock called when/i.test(String(error.message))) throw error;
      held = false;
    }
    fs.rmSync(at('locked'));
    return held;
  };
  const drop = () => {
    if (job && job.child) job.child.kill('SIGKILL');
    job = null;
    unlock();
    fs.rmSync(path.join(data, '.backup'), { recursive: true, force: true });
    fs.rmSync(at('answer'), { force: true });
  };

  const walk = (folder) =>
    fs.readdirSync(path.join(data, folder), { withFileTypes: true }).flatMap((entry) => {
      const name = path.join(folder, entry.name);
      // Preallocated journal files are empty.
      if ((folder === '' && !isData(entry.name)) || entry.name.startsWith('WiredTigerPreplog')) return [];
      return entry.isDirectory() ? walk(name) : [name];
    });
  const size = (files) => files.reduce((sum, file) => sum + fs.statSync(path.join(data, file)).blocks * 512, 0);
  // On XFS, which Talos uses, a clone shares blocks until one side changes, so it is immediate. Other file systems copy.
  const cloned = (files) => {
    try {
      for (const file of files) {
        fs.mkdirSync(path.dirname(path.join(copy, file)), { recursive: true });
        fs.copyFileSync(path.join(data, file), path.join(copy, file), fs.constants.COPYFILE_FICLONE_FORCE);
      }
      return true;
    } catch (error) {
      if (['ENOTSUP', 'EOPNOTSUPP', 'EXDEV', 'EINVAL', 'ENOSYS', 'ENOTTY'].includes(error.code)) return false;
      throw error;
    }
  };
  const copied = (files) => {
    const { bavail, bsize } = fs.statfsSync(data);
    const [needed, free] = [size(files) * 1.1, bavail * bsize];
    if (needed > free)
      throw new Error(
        'a copy needs ' +
          mebibytes(needed) +
          ' on the data disk, but only ' +
          mebibytes(free) +
          ' are free; give the member a larger disk, or one with XFS, where a copy takes no space',
      );
    fs.writeFileSync(at('files'), files.join('\0'));
    return spawn('xargs', ['-0', '-a', at('files'), 'cp', '-p', '--parents', '-t', copy], {
      cwd: data,
      stdio: 'ignore',
    });
  };
  const mebibytes = (bytes) => Math.ceil(bytes / 1048576) + ' MiB';

  // Counts the documents of the copy, for the comparison after a restore or drill. Counts them one by one while time allows:
  // mongod's own numbers are wrong after a crash.
  const contents = (seconds) => {
    const until = Date.now() + seconds * 1000;
    const found = {};
    for (const { name: db } of run({ listDatabases: 1, nameOnly: true }).databases) {
      if (['local', 'config'].includes(db)) continue;
      found[db] = {};
      for (const { name, type } of run({ listCollections: 1, nameOnly: true }, db).cursor.firstBatch) {
        if (type !== 'collection') continue;
        const exact = Date.now() < until;
        const left = Math.max(1, until - Date.now());
        let count = null;
        try {
          count = exact ? Number(run({ count: name, query: { _id: { $exists: true } }, maxTimeMS: left }, db).n) : null;
        } catch {
          // Not counted: a backup without numbers is still a backup.
        }
        found[db][name] = count;
      }
    }
    return found;
  };

  const begin = (id, members) => {
    const choice = chosenMember(members);
    if (choice.state !== 'ready') return answer(id, choice);
    fs.rmSync(path.join(data, '.backup'), { recursive: true, force: true });
    fs.mkdirSync(copy, { recursive: true });
    job = { id, since: Date.now(), limit: choice.primary ? limits.primary : limits.secondary };
    say('snapshot ' + id + ': locking this member');
    lock();
    const files = walk('');
    if (!cloned(files)) {
      fs.rmSync(copy, { recursive: true });
      fs.mkdirSync(copy);
      // The exit code belongs to this copy, even if it was dropped meanwhile or another one has started.
      const own = job;
      own.child = copied(files);
      own.child.on('exit', (code) => (own.code = code === null ? -1 : code));
      own.child.on('error', () => (own.code = -1));
    } else job.code = 0;
    const buildInfo = run({ buildInfo: 1 });
    job.manifest = {
      kind: 'mongodb',
      at: new Date().toISOString(),
      member: members.find((member) => member.self).name,
      version: buildInfo.version,
      featureCompatibilityVersion: run({ getParameter: 1, featureCompatibilityVersion: 1 }).featureCompatibilityVersion
        .version,
      bytes: size(files),
      databases: contents(choice.primary ? 2 : 10),
    };
    finish();
  };
  const finish = () => {
    if (job.code === undefined) {
      if (Date.now() - job.since < job.limit * 1000) return;
      const { id, limit } = job;
      drop();
      return answer(id, {
        state: 'failed',
        why:
          'copying the files took longer than ' +
          limit +
          ' s, the limit for a locked member; a disk with XFS copies at once',
      });
    }
    const { id, code, manifest, since } = job;
    const held = unlock();
    const seconds = ((Date.now() - since) / 1000).toFixed(1);
    job = null;
    // A mongod that restarts writes to the files, so the copy is not consistent.
    if (!held) {
      drop();
      return answer(id, { state: 'failed', why: 'mongod restarted while its files were copied' });
    }
    if (code !== 0) {
      drop();
      return answer(id, { state: 'failed', why: 'copying the files failed: is the data disk full?' });
    }
    fs.writeFileSync(
      path.join(copy, 'manifest.json'),
      JSON.stringify(Object.assign(manifest, { lockedSeconds: Number(seconds) })),
    );
    say('snapshot ' + id + ': ready, the member was locked for ' + seconds + ' s');
    answer(id, { state: 'ready', paths: [copy] });
  };

  return {
    // members is a function, because only a request needs the list.
    round(members) {
      // A killed process left an incomplete copy.
      if (!job && fs.existsSync(at('locked'))) drop();
      const request = json(at('request'));
      const given = json(at('answer'));
      if (!request) {
        if (job || given || fs.existsSync(at('locked')) || fs.existsSync(path.join(data, '.backup'))) drop();
        return;
      }
      if (given && given.id === request.id) return;
      if (job && job.id === request.id) return finish();
      try {
        drop();
        begin(request.id, members());
      } catch (error) {
        say('snapshot ' + request.id + ': ' + error.message);
        drop();
        answer(request.id, { state: 'failed', why: error.message });
      }
    },
    // A locked member blocks writes, and with them a step that writes.
    locked: () => fs.existsSync(at('locked')),
  };
}
