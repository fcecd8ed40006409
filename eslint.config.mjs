import eslint from '@eslint/js';
import { defineConfig } from 'eslint/config';
import tseslint from 'typescript-eslint';

/** Rooms and what each may import: the arrows of the house, so that a wrong one is a lint error and not a habit. */
const rooms = {
  values: [],
  inventory: ['values'],
  constructs: ['values', 'imports'],
  charts: ['inventory', 'constructs', 'imports', 'values'],
  checks: ['inventory', 'constructs', 'values'],
  synth: ['checks', 'constructs', 'inventory', 'values'],
  scripts: ['inventory', 'values'],
};

const walls = Object.entries(rooms).map(([room, allowed]) => ({
  files: [`${room}/**/*.ts`],
  rules: {
    'no-restricted-imports': [
      'error',
      {
        patterns: Object.keys({ ...rooms, imports: [] })
          .filter((other) => other !== room && !allowed.includes(other))
          .map((other) => ({ regex: `^\\.\\./(\\.\\./)*${other}(/|$)`, message: `${room}/ may not know ${other}/` })),
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
);
