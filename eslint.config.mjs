import eslint from '@eslint/js';
import { defineConfig } from 'eslint/config';
import tseslint from 'typescript-eslint';

/** Rooms and what each may import: the arrows of the house, so that a wrong one is a lint error and not a habit. */
const rooms = {
  values: [],
  inventory: ['values'],
  constructs: ['values', 'imports'],
  charts: ['inventory', 'constructs', 'imports', 'values'],
  'own-charts': ['charts', 'constructs', 'inventory', 'values'],
  checks: ['inventory', 'constructs', 'values'],
  synth: ['checks', 'constructs', 'inventory', 'values'],
  machines: ['inventory', 'values'],
  scripts: ['inventory', 'machines', 'values'],
};

/** The rooms of the bootstrap and of models, from the ground up: each may import those before it. */
const bootstrapRooms = ['engine', 'clients', 'secrets', 'stages', 'verify', 'commands', 'models'];

/** What a room may not import. */
const otherRooms = (room) =>
  Object.keys({ ...rooms, imports: [] })
    .filter((other) => other !== room && !rooms[room].includes(other))
    .map((other) => ({ regex: `^\\.\\./(\\.\\./)*${other}(/|$)`, message: `${room}/ may not know ${other}/` }));

/** Whoever installs the package can write every chart and check of ours: they use what it exports. */
const publicSurface = {
  regex: '^\\.\\./(\\.\\./)*constructs/.',
  message: 'import from constructs/ itself, and export there what others need',
};

const walls = [
  ...Object.keys(rooms).map((room) => ({
    files: [`${room}/**/*.ts`],
    rules: { 'no-restricted-imports': ['error', { patterns: [...otherRooms(room), publicSurface] }] },
  })),
  { files: ['cli/**/*.ts'], rules: { 'no-restricted-imports': ['error', { patterns: [publicSurface] }] } },
];

/** The rooms of its suite, in the same order. */
const suiteRooms = ['simulator', 'harness', 'scenarios'];

const order = (folder, names, others) =>
  names.map((room, height) => ({
    files: [`${folder}/${room}/**/*.ts`],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          patterns: [
            ...names.slice(height + 1).map((above) => ({
              regex: `^\\.\\./(\\.\\./)*${above}(/|$)`,
              message: `${folder}/${room}/ may not know ${folder}/${above}/`,
            })),
            ...others,
          ],
        },
      ],
    },
  }));

export default defineConfig(
  {
    ignores: [
      'node_modules/',
      'imports/',
      'dist/',
      'lib/',
      'docs/reference/',
      '.synth',
      '.stryker/',
      '**/*.js',
      '!constructs/files/*.js',
      '**/*.mjs',
    ],
  },
  eslint.configs.recommended,
  ...tseslint.configs.strict,
  {
    rules: {
      // Judged before it is used, where the compiler cannot follow.
      '@typescript-eslint/no-non-null-assertion': 'off',
      // Rendered objects are plain JSON.
      '@typescript-eslint/no-explicit-any': 'off',
      '@typescript-eslint/no-extraneous-class': 'off',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      'no-restricted-syntax': [
        'error',
        {
          selector: "MemberExpression[object.name='Lazy']",
          message: 'use late() of constructs/late.ts: inside Lazy.any a wrong value vanishes without a word',
        },
        {
          selector: "CallExpression[callee.property.name='addDependency']",
          message: 'order is sync waves: dependencies between charts grow exponentially in cdk8s',
        },
      ],
    },
  },
  { files: ['constructs/late.ts'], rules: { 'no-restricted-syntax': 'off' } },
  {
    // Scripts of mongosh.
    files: ['constructs/files/*.js'],
    languageOptions: {
      sourceType: 'commonjs',
      globals: Object.fromEntries(
        [
          'Buffer',
          'Mongo',
          'console',
          'clearTimeout',
          'load',
          'print',
          'process',
          'setTimeout',
          'sleep',
          '__dirname',
        ].map((name) => [name, 'readonly']),
      ),
    },
    rules: { '@typescript-eslint/no-require-imports': 'off' },
  },
  ...walls,
  ...order('scripts', bootstrapRooms, otherRooms('scripts')),
  ...order('test/real/bootstrap', suiteRooms, []),
);
