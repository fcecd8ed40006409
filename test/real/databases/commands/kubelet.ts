import * as fs from 'node:fs';
import { createServer, type Server } from 'node:http';
import { join, resolve } from 'node:path';
import { nodes, type Homelab } from '../../../../inventory';
import type { Client } from '../../cluster/client';
import { applyNode, references } from '../../cluster/deploy';
import type { TestNode } from '../../node/node';
import type { Pod } from '../../node/pod';
import { pause } from '../../node/processes';
import { podStatus, time } from './pod-status';

type Json = any;

interface Run {
  readonly pod: Pod;
  readonly since: Date;
  /** Of a pod that has ended. */
  code?: number;
  leaving?: Promise<void>;
  /** The status that the API server has. */
  told?: string;
}

const ROUND_SECONDS = 0.5;
/** The controllers consider a node lost if it is silent for more than 10 minutes. */
const ALIVE_SECONDS = 60;

/**
 * The kubelet of every node of a homelab: runs the pods that are bound to them as processes, writes what became of them to the
 * API server, and ends those that are deleted. It has no port: what kubectl asks a kubelet for, a kubectl of the test answers.
 */
export class ProcessKubelet {
  private readonly runs = new Map<string, Run>();
  private readonly server: Server;
  private readonly loop: Promise<void>;
  /** Versions of the ConfigMaps and Secrets of each namespace that the pods have. */
  private readonly versions = new Map<string, string>();
  private on = true;
  private alive = 0;

  private constructor(
    private readonly client: Client,
    private readonly node: TestNode,
    private readonly names: readonly string[],
  ) {
    this.server = createServer(({ url }, response) => {
      const answer = this.place(new URL(url!, 'http://kubelet').searchParams);
      response.writeHead('problem' in answer ? 404 : 200).end(JSON.stringify(answer));
    }).listen(this.socket);
    this.loop = this.rounds();
  }

  static async start(client: Client, node: TestNode, homelab: Homelab): Promise<ProcessKubelet> {
    const machines = nodes(homelab);
    for (const [name, machine] of machines) await applyNode(client, homelab, name, machine);
    return new ProcessKubelet(
      client,
      node,
      machines.map(([name]) => name),
    );
  }

  async stop(): Promise<void> {
    this.on = false;
    this.server.close();
    await this.loop;
  }

  private get socket(): string {
    return join(this.node.folder, 'kubelet.sock');
  }

  /** A folder with the kubectl of the test, to stand first on a PATH. */
  kubectl(real: string): string {
    const folder = join(this.node.folder, 'kubectl');
    fs.mkdirSync(folder, { recursive: true });
    const program = [process.execPath, resolve(__dirname, 'kubectl.js'), real, this.socket];
    const script = `#!/bin/sh\nexec ${program.map((word) => `'${word}'`).join(' ')} "$@"\n`;
    fs.writeFileSync(join(folder, 'kubectl'), script, { mode: 0o755 });
    return folder;
  }

  /** Where the kubectl of the test finds a container: how to enter it, its network, and what it has printed. */
  private place(asked: URLSearchParams): Json {
    const name = `${asked.get('namespace')}/${asked.get('pod')}`;
    const pod = [...this.runs.values()].find((run) => run.pod.fullName === name)?.pod;
    if (!pod) return { problem: `pod ${name} does not run here` };
    const container = asked.get('container') || pod.spec.containers[0].name;
    const all = [...pod.initContainers, ...pod.sidecars, ...pod.containers];
    const found = all.filter((each) => each.name === container).at(-1);
    if (!found) return { problem: `container ${container} is not valid for pod ${name}` };
    return { entry: found.entry(), network: pod.networkOf, log: join(pod.folder, `${container}.log`) };
  }

  private async rounds(): Promise<void> {
    while (this.on) {
      try {
        await this.round();
      } catch (error) {
        // The API server is away for a moment, or an object has changed meanwhile.
        if (this.on) console.log(`  kubelet: ${(error as Error).message}`);
      }
      await pause(ROUND_SECONDS);
    }
  }

  private async round(): Promise<void> {
    if (Date.now() - this.alive > ALIVE_SECONDS * 1000) await this.tellAlive();
    const pods = await this.client.list('v1', 'Pod');
    const bound = pods.filter(({ spec }) => this.names.includes(spec.nodeName));
    const present = new Set(bound.map(({ metadata }) => metadata.uid));
    for (const [uid, run] of this.runs)
      if (!present.has(uid)) {
        await (run.leaving ?? (run.code === undefined && run.pod.stop(0)));
        this.runs.delete(uid);
      }
    await this.refresh(bound);
    for (const pod of bound) await this.care(pod);
  }

  private async tellAlive(): Promise<void> {
    const now = time(new Date());
    const ready = { type: 'Ready', status: 'True', reason: 'KubeletReady', lastHeartbeatTime: now };
    for (const name of this.names) {
      const status = { conditions: [{ ...ready, lastTransitionTime: now }] };
      await this.client.ask('PATCH', `/api/v1/nodes/${name}/status`, { status }, 'application/merge-patch+json');
    }
    this.alive = Date.now();
  }

  /** ConfigMaps and Secrets as the API server has them now, in the volumes of running pods, too. */
  private async refresh(bound: readonly Json[]): Promise<void> {
    const { configMaps, secrets } = this.node.cluster;
    for (const namespace of new Set<string>(bound.map(({ metadata }) => metadata.namespace))) {
      const maps = await this.client.list('v1', 'ConfigMap', namespace);
      const secret = await this.client.list('v1', 'Secret', namespace);
      const version = [...maps, ...secret].map(({ metadata }) => metadata.resourceVersion).join();
      if (this.versions.get(namespace) === version) continue;
      this.versions.set(namespace, version);
      for (const { metadata, data = {} } of maps) configMaps.set(`${namespace}/${metadata.name}`, data);
      for (const { metadata, data = {} } of secret)
        secrets.set(`${namespace}/${metadata.name}`, decoded(data as Record<string, string>));
      for (const { pod, code, leaving } of this.runs.values())
        if (pod.namespace === namespace && code === undefined && !leaving) pod.refresh();
    }
  }

  private async care(pod: Json): Promise<void> {
    const { uid, deletionTimestamp, namespace, name } = pod.metadata;
    const run = this.runs.get(uid) ?? (await this.begin(pod));
    if (run === undefined) return;
    await this.tell(pod, run);
    if (deletionTimestamp === undefined) return;
    run.leaving ??= this.end(pod, run).finally(async () => {
      const preconditions = { uid };
      await this.client.request('DELETE', `/api/v1/namespaces/${namespace}/pods/${name}`, {
        gracePeriodSeconds: 0,
        preconditions,
      });
    });
  }

  /** @returns undefined where the pod must wait, or is over */
  private async begin(pod: Json): Promise<Run | undefined> {
    const { uid, namespace, name, labels, deletionTimestamp } = pod.metadata;
    const path = `/api/v1/namespaces/${namespace}/pods/${name}`;
    if (deletionTimestamp !== undefined) await this.client.request('DELETE', path, { gracePeriodSeconds: 0 });
    if (deletionTimestamp !== undefined || ['Succeeded', 'Failed'].includes(pod.status.phase)) return undefined;
    const { configMaps, secrets } = this.node.cluster;
    const has = { ConfigMap: configMaps, Secret: secrets } as Readonly<Record<string, ReadonlyMap<string, unknown>>>;
    if (references(pod.spec).some(([kind, wanted]) => has[kind]?.has(`${namespace}/${wanted}`) === false))
      return undefined;
    const services = (await this.client.list('v1', 'Service', namespace))
      .filter(({ spec }) => Object.entries(spec.selector ?? {}).every(([key, value]) => labels?.[key] === value))
      .map(({ metadata }) => metadata.name);
    const run: Run = { pod: this.node.run(pod, services, pod.spec.subdomain), since: new Date() };
    this.runs.set(uid, run);
    void run.pod.ended.then(async (code) => {
      run.code = code;
      // Its volumes are free, and what it printed stays.
      if (!run.leaving) await run.pod.stop(0);
    });
    return run;
  }

  private async end(pod: Json, run: Run): Promise<void> {
    if (run.code === undefined) await run.pod.stop(pod.metadata.deletionGracePeriodSeconds);
    run.code ??= 137;
    await this.tell(pod, run);
  }

  private async tell({ metadata, status: before }: Json, run: Run): Promise<void> {
    const status = podStatus(run.pod, run.code, run.since, before.conditions);
    const text = JSON.stringify(status);
    if (text === run.told) return;
    const path = `/api/v1/namespaces/${metadata.namespace}/pods/${metadata.name}/status`;
    const answer = await this.client.request('PATCH', path, { status }, 'application/merge-patch+json');
    if (answer.status >= 300 && answer.status !== 404) throw new Error(`${path}: ${answer.body.message}`);
    run.told = text;
  }
}

function decoded(data: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(data).map(([key, value]) => [key, Buffer.from(value, 'base64').toString()]));
}
