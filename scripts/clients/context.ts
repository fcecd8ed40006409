import * as fs from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import type { Homelab, UbuntuMachine } from '../../inventory';
import type { Ask } from '../engine/ask';
import { Commands, type Target } from '../engine/commands';
import { Log } from '../engine/log';
import { DIST, ROOT } from '../engine/root';
import { Sops } from '../engine/sops';
import { ADMIN } from '../../machines/ai-vm';
import { Kubernetes } from './kubernetes';
import { Talos } from './talos';

/** The clients and settings of every stage. */
export interface Context {
  readonly homelab: Homelab;
  readonly commands: Commands;
  readonly sops: Sops;
  readonly ask: Ask;
  readonly log: Log;
  readonly kubernetes: Kubernetes;
  readonly talos: Talos;
}

export function context(homelab: Homelab, ask: Ask): Context {
  const log = new Log(join(ROOT, '.homelab', 'bootstrap.log'));
  const commands = new Commands(log);
  const sops = new Sops(commands, log, ROOT);
  const kubernetes = new Kubernetes(commands, sops, log);
  return { homelab, commands, ask, log, sops, kubernetes, talos: new Talos({ homelab, commands, sops, log }) };
}

/** The machines outside the cluster. */
export function ubuntuMachines({ homelab }: Context): [string, UbuntuMachine][] {
  return Object.entries(homelab.machines).filter(
    (entry): entry is [string, UbuntuMachine] => entry[1].kind === 'ubuntu',
  );
}

/** SSH target of that machine. Its host key is accepted at the first login, and must stay the same. */
export function ubuntu({ homelab }: Context, name: string): Target {
  const { address } = homelab.machines[name]!;
  return { name, ssh: { user: ADMIN, address, options: ['-o', 'StrictHostKeyChecking=accept-new'] }, sudo: true };
}

/** An object of dist/, and the text of its file. */
export interface DistFile {
  readonly file: string;
  readonly text: string;
  readonly object: any;
}

/** Objects of dist/, by file. @throws when dist/ was not written */
export function manifests(folder = ''): DistFile[] {
  const dist = join(DIST, folder);
  return (fs.readdirSync(dist, { recursive: true, encoding: 'utf8' }) as string[])
    .filter((file) => file.endsWith('.yaml'))
    .sort()
    .flatMap((file) => {
      const text = fs.readFileSync(join(dist, file), 'utf8');
      return parseAllDocuments(text).map((document) => ({ file: join(folder, file), text, object: document.toJS() }));
    });
}
