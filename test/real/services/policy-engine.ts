import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { join, resolve } from 'node:path';
import { CACHE, go, pinned } from '../modules';

type Json = any;

/** The first packet of a connection. */
export interface Packet {
  readonly from: string;
  readonly to: string;
  readonly port: number;
  readonly protocol: 'TCP' | 'UDP';
}

const MODULE = 'sigs.k8s.io/kube-network-policies';
const SOURCES = resolve(__dirname, 'policies');

/** kube-network-policies with a program of ours that asks its evaluation, which is not exported: so its source is copied first. */
export function policyEngine(): string {
  const own = { engine: ['engine', 'engine.go'], answers: ['answers', 'main.go'] };
  const hash = createHash('sha256');
  for (const path of Object.values(own)) hash.update(fs.readFileSync(join(SOURCES, ...path)));
  const folder = join(CACHE, 'policy-engine', `${pinned(SOURCES, MODULE)}-${hash.digest('hex').slice(0, 8)}`);
  const target = join(folder, 'answers');
  if (fs.existsSync(target)) return target;
  const begin = Date.now();
  console.log(`building the policy engine (once; into ${folder})`);
  const source = `${folder}.${process.pid}`;
  const { Dir } = JSON.parse(go(SOURCES, ['mod', 'download', '-json', MODULE])) as { readonly Dir: string };
  fs.cpSync(Dir, source, { recursive: true });
  // Modules are kept without permission to write.
  spawnSync('chmod', ['-R', 'u+w', source]);
  fs.copyFileSync(join(SOURCES, ...own.engine), join(source, 'pkg', 'networkpolicy', 'engine.go'));
  fs.mkdirSync(join(source, 'cmd', 'answers'), { recursive: true });
  fs.copyFileSync(join(SOURCES, ...own.answers), join(source, 'cmd', 'answers', 'main.go'));
  go(source, ['build', '-trimpath', '-ldflags', '-s -w', '-o', join(source, 'program'), './cmd/answers']);
  fs.mkdirSync(folder, { recursive: true });
  fs.renameSync(join(source, 'program'), target);
  fs.rmSync(source, { recursive: true, force: true });
  console.log(`built the policy engine in ${Math.round((Date.now() - begin) / 1000)} s`);
  return target;
}

/** Whether each packet passes, by the engine. */
export function passing(
  objects: { readonly pods: readonly Json[]; readonly namespaces: readonly Json[]; readonly policies: readonly Json[] },
  packets: readonly Packet[],
): boolean[] {
  const { status, stdout, stderr } = spawnSync(policyEngine(), {
    input: JSON.stringify({ ...objects, packets }),
    encoding: 'utf8',
    timeout: 120_000,
    maxBuffer: 1e9,
  });
  if (status !== 0) throw new Error(`the policy engine failed: ${stderr}`);
  return JSON.parse(stdout);
}
