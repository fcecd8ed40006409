/** @type {import('jest').Config} */
module.exports = {
  testEnvironment: 'node',
  roots: ['<rootDir>/test'],
  testMatch: ['**/*.test.ts'],
  testPathIgnorePatterns: ['<rootDir>/test/real/'],
  transform: { '^.+\\.ts$': ['@swc/jest', { jsc: { target: 'es2022', parser: { syntax: 'typescript' } } }] },
  snapshotResolver: '<rootDir>/test/snapshot-resolver.js',
  // Snapshots hold plain YAML: no quotes or escapes around it, so that a diff reads like a manifest.
  snapshotFormat: { escapeString: false, printBasicPrototype: false },
};
