/** @type {import('jest').Config} */
module.exports = {
  testEnvironment: 'node',
  roots: ['<rootDir>/test'],
  testMatch: ['**/*.test.ts'],
  testPathIgnorePatterns: ['<rootDir>/test/real/'],
  // Several tests start git or the app; a machine that is busy with other things takes its time.
  testTimeout: 30_000,
  transform: { '^.+\\.ts$': ['@swc/jest', { jsc: { target: 'es2022', parser: { syntax: 'typescript' } } }] },
  globalSetup: '<rootDir>/test/temporary-folder.js',
  globalTeardown: '<rootDir>/test/remove-temporary-folder.js',
  snapshotResolver: '<rootDir>/test/snapshot-resolver.js',
  // Snapshots hold plain YAML: no quotes or escapes around it, so that a diff reads like a manifest.
  snapshotFormat: { escapeString: false, printBasicPrototype: false },
};
