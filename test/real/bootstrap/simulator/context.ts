import * as fs from 'node:fs';
import { join, resolve } from 'node:path';
import type { Caller } from './caller';
import { Failure, type Call, type Context } from './programs/program';
import type { Simulation } from './simulation';

/** What a program gets to work with. @param kept files by name that are read in place of those that lie there */
export function contextOf(
  simulation: Simulation,
  call: Call,
  caller: Caller,
  kept: ReadonlyMap<string, Buffer>,
): Context {
  const path = (name: string) =>
    call.machine === 'local' ? resolve(call.cwd, name) : join(simulation.files(call.machine), resolve(call.cwd, name));
  const stdin = async () => {
    const data = await caller.input();
    call.stdin = data.toString();
    return data;
  };
  return {
    simulation,
    state: simulation.state,
    call,
    stdin,
    onInput: (data, end) => {
      call.stdin = '';
      caller.onInput((chunk) => {
        call.stdin += chunk.toString();
        data(chunk);
      }, end);
    },
    write: (text) => caller.say(text),
    path,
    async read(name) {
      if (name === '/dev/stdin') return stdin();
      const descriptor = /^\/(?:dev|proc\/self)\/fd\/(\d+)$/.exec(name)?.[1];
      if (descriptor === '0') return stdin();
      try {
        const before = kept.get(name);
        if (before) return before;
        return await fs.promises.readFile(descriptor ? `/proc/${caller.pid}/fd/${descriptor}` : path(name));
      } catch (error) {
        const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
        throw new Failure(`open ${name}: ${missing ? 'no such file or directory' : (error as Error).message}`);
      }
    },
  };
}
