import tseslint from 'typescript-eslint';
import { noSwallow } from './scripts/no-swallow.mjs';

export default [
  {
    ignores: [
      'dist/',
      'node_modules/',
      'schemas/generated/',
      'auditor/generated/',
      'data/',
      'sdk/dist/',
      '**/*.mjs',
      '**/*.js',
    ],
  },
  {
    files: ['**/*.ts'],
    languageOptions: {
      parser: tseslint.parser,
      parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname },
    },
    plugins: { '@typescript-eslint': tseslint.plugin },
    rules: {
      '@typescript-eslint/no-floating-promises': ['error'],
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/no-non-null-assertion': 'error',
      '@typescript-eslint/consistent-type-imports': 'error',
      'no-empty': ['error', { allowEmptyCatch: false }],
      'no-console': 'error',
    },
  },
  {
    files: ['cli/**', 'bench/**', 'examples/**', 'test/**', 'scripts/**'],
    rules: { 'no-console': 'off' },
  },
  {
    files: [
      'sdk/**',
      'redaction/**',
      'schemas/**',
      'ledger/**',
      'agent/**',
      'cli/**',
      'auditor/**',
      'demo/**',
    ],
    plugins: { sealtrail: { rules: { 'no-swallow': noSwallow } } },
    rules: { 'sealtrail/no-swallow': 'error' },
  },
  // Fastify hooks and test callbacks hand promises to frameworks that await them.
  { files: ['test/**'], rules: { '@typescript-eslint/no-non-null-assertion': 'off' } },
];
