/**
 * `npm run mutation -- --mutate 'inventory/*.ts'`: changes one place of the code at a time, and says which changes no test sees. By hand,
 * since all rooms take hours: docs/proofs.md has the command, the figures, and what was left.
 * @type {import('@stryker-mutator/api/core').PartialStrykerOptions}
 */
export default {
  testRunner: 'jest',
  plugins: ['@stryker-mutator/jest-runner'],
  mutate: ['{inventory,constructs,checks,charts,synth}/*.ts', '!**/index.ts'],
  // Sentences of errors and names of fields: tests would repeat them.
  mutator: { excludedMutations: ['StringLiteral'] },
  // Tests are compiled by swc; with the real one Stryker would load the compiler, which is not beside it.
  tsconfigFile: 'none',
  coverageAnalysis: 'perTest',
  // Tables at the top of a file would need every test for each of their values.
  ignoreStatic: true,
  jest: {
    projectType: 'custom',
    config: {
      testEnvironment: 'node',
      roots: ['<rootDir>/test'],
      watchman: false,
      testMatch: ['<rootDir>/test/mutation/all.ts'],
      transform: { '^.+\\.ts$': ['@swc/jest', { jsc: { target: 'es2022', parser: { syntax: 'typescript' } } }] },
    },
    enableFindRelatedTests: false,
  },
  concurrency: 2,
  // A slow machine must not pass for a mutant that hangs.
  timeoutMS: 60_000,
  ignorePatterns: ['dist', 'docs', 'bench', 'test/real', 'lib'],
  tempDirName: '.stryker',
  reporters: ['clear-text', 'json', 'progress-append-only'],
  clearTextReporter: { allowColor: false, allowEmojis: false, logTests: false, reportTests: false },
  jsonReporter: { fileName: '.stryker/mutation.json' },
};
