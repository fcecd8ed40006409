import { execFileSync } from 'node:child_process';

/** Python itself, not a wrapper of it that would put other programs before a test's stand-ins. */
export const python3 = execFileSync('python3', ['-c', 'import sys; print(sys.executable)']).toString().trim();
