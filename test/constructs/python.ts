import { execFileSync } from 'node:child_process';

/** Python itself, not a wrapper of it that would put other programs before a test's stand-ins; empty where there is none. */
export const python3 = find();

/** The tests of scripts that run in Python are skipped, and say why, on a machine that has none. */
export const pythonTest: jest.It = python3 === '' ? test.skip : test;

function find(): string {
  try {
    return execFileSync('python3', ['-c', 'import sys; print(sys.executable)'], { stdio: 'pipe' }).toString().trim();
  } catch {
    console.warn('python3 is not here: the tests of scripts that run in Python are skipped');
    return '';
  }
}
