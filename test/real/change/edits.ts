import * as fs from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { printYaml } from '../../../synth';
import type { Json } from '../cluster/client';

/** Something done to the files of a dist/. */
export type Edit = (dist: string) => void;

/** Changes the object of a file. */
export function edited(path: string, change: (object: Json) => void): Edit {
  return (dist) => {
    const file = join(dist, path);
    const object = parse(fs.readFileSync(file, 'utf8'));
    change(object);
    fs.writeFileSync(file, printYaml(object));
  };
}

/** Puts one more object into a folder. */
export function added(path: string, object: Json): Edit {
  return (dist) => fs.writeFileSync(join(dist, path), printYaml(object));
}

export function removed(path: string): Edit {
  return (dist) => fs.rmSync(join(dist, path));
}

/** Few tries, or a refused commit would hold up the next one for half an hour. */
export const fewTries: Edit = (dist) => {
  const folder = join(dist, 'argocd');
  for (const file of fs.readdirSync(folder).filter((each) => each.startsWith('application.')))
    edited(join('argocd', file), ({ spec }) => {
      spec.syncPolicy.retry = { limit: 1, backoff: { duration: '1s', factor: 1, maxDuration: '1s' } };
    })(dist);
};
