import * as fs from 'node:fs';
import { join } from 'node:path';
import { Blocked } from '../engine/problem';
import { WORK } from './folders';

/** Runs while no other command on this machine works on the model. Takes over the lock of a killed command. */
export async function alone<T>(name: string, run: () => Promise<T>): Promise<T> {
  const folder = join(WORK, name);
  const file = join(folder, 'lock');
  fs.mkdirSync(folder, { recursive: true });
  const holder = take(file);
  if (holder !== undefined)
    throw new Blocked(`another command works on ${name} (process ${holder}). Wait until it ends.`);
  try {
    return await run();
  } finally {
    fs.rmSync(file, { force: true });
  }
}

/** @returns id of the process that holds the lock, or undefined when this process got it */
function take(file: string): number | undefined {
  const mine = `${file}.${process.pid}`;
  fs.writeFileSync(mine, `${process.pid}\n`);
  try {
    for (;;)
      try {
        // A link is atomic: the file never exists without its content.
        fs.linkSync(mine, file);
        return undefined;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
        const holder = Number(fs.readFileSync(file, 'utf8'));
        if (isAlive(holder)) return holder;
        fs.rmSync(file, { force: true });
      }
  } finally {
    fs.rmSync(mine);
  }
}

function isAlive(pid: number): boolean {
  if (!(pid > 0)) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
