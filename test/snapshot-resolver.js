const path = require('node:path');

// All snapshots stand in __snapshots__/ at the root, by the name of their test file.
const root = path.resolve(__dirname, '..');
const snapshots = path.join(root, '__snapshots__');
const tests = path.join(root, 'test');

module.exports = {
  resolveSnapshotPath: (testPath, extension) => path.join(snapshots, path.relative(tests, testPath) + extension),
  resolveTestPath: (snapshotPath, extension) =>
    path.join(tests, path.relative(snapshots, snapshotPath).slice(0, -extension.length)),
  testPathForConsistencyCheck: path.join(tests, 'constructs', 'example.test.ts'),
};
