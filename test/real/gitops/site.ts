import * as fs from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { homelabApp } from '../../../charts';
import homelab from '../../fixtures/homelab';
import { defineHomelab, nodes, type Homelab } from '../../../inventory';
import { printYaml, synthesize } from '../../../synth';
import { changed } from '../../homelab';
import type { Client, Json } from '../cluster/client';
import { ControlPlane } from '../cluster/control-plane';
import { applyDefinitions, applyNode, applyNodes, applySecrets, manifestsOf, secretsOf } from '../cluster/deploy';
import { ArgoCd, Repository } from './argo-cd';

export type Change = (homelab: any) => void;

/** A cluster whose Argo CD watches a repository of dist/. */
export class Site {
  /** @param first changes of the homelab of tests that the first commit has already */
  static async start(
    settings: (data: Record<string, string>) => void = () => undefined,
    ...first: readonly Change[]
  ): Promise<Site> {
    const plane = await ControlPlane.start(homelab.versions.kubernetes);
    try {
      const repository = new Repository(join(plane.folder, 'repository'));
      const site = new Site(plane, repository, settings);
      site.changes.push(...first);
      await applyDefinitions(plane.client);
      await applyNodes(plane.client, homelab);
      await site.write();
      const revision = repository.commit('first');
      await site.bootstrap();
      const argo = await ArgoCd.start(plane);
      return Object.assign(site, { argo, revision });
    } catch (error) {
      await plane.stop();
      throw error;
    }
  }

  readonly argo!: ArgoCd;
  revision = '';
  /** What is done to the rendered files of every later commit, as somebody with charts of his own has others. */
  readonly edits: ((dist: string) => void)[] = [];
  private changes: Change[] = [];

  private constructor(
    readonly plane: ControlPlane,
    readonly repository: Repository,
    /** Changes Argo CD's settings in Git, as if they had never been ours. */
    private readonly settings: (data: Record<string, string>) => void,
  ) {}

  get client(): Client {
    return this.plane.client;
  }

  get dist(): string {
    return join(this.repository.folder, 'dist');
  }

  /** Renders the homelab with all changes so far into the repository. */
  private async write(): Promise<void> {
    const lab = defineHomelab(
      changed((h) => {
        h.git = { url: this.repository.url, revision: 'main' };
        for (const change of this.changes) change(h);
      }, homelab),
    );
    fs.rmSync(this.dist, { recursive: true, force: true });
    await synthesize(async () => ({ app: homelabApp(lab), homelab: lab, checks: [] }), {
      root: this.plane.folder,
      outdir: this.dist,
    });
    const file = join(this.dist, 'argocd', 'configmap.argocd-cm.yaml');
    const settings = parse(fs.readFileSync(file, 'utf8'));
    this.settings(settings.data);
    fs.writeFileSync(file, printYaml(settings));
    for (const edit of this.edits) edit(this.dist);
    await this.register(lab);
  }

  /** New machines, and new labels of old ones: the bootstrap has brought them before anything is pushed. */
  private async register(lab: Homelab): Promise<void> {
    for (const [name, machine] of nodes(lab)) {
      await applyNode(this.client, lab, name, machine);
      const metadata = { labels: machine.labels ?? {} };
      await this.client.ask('PATCH', `/api/v1/nodes/${name}`, { metadata }, 'application/merge-patch+json');
    }
  }

  /** What the bootstrap does before Argo CD takes over: namespaces and secrets, its settings, its project, the root. */
  private async bootstrap(): Promise<void> {
    const manifests = manifestsOf(this.dist);
    const apply = async (object: Json) => {
      const answer = await this.client.apply(object, 'bootstrap');
      if (answer.status >= 300) throw new Error(`${object.kind} ${object.metadata.name}: ${answer.body.message}`);
    };
    for (const { object } of manifests) if (object.kind === 'Namespace') await apply(object);
    await applySecrets(this.client, secretsOf(this.dist));
    for (const { object } of manifests) {
      const isSettings = object.kind === 'ConfigMap' && object.metadata.name === 'argocd-cm';
      const isRoot = object.kind === 'Application' && object.metadata.name === homelab.name;
      if (isSettings || isRoot || object.kind === 'AppProject') await apply(object);
    }
  }

  /** Commits a change of homelab.ts as its owner would: rendered, its new secrets made, pushed. @returns what was there before */
  async commit(message: string, change: Change): Promise<Picture> {
    const before = await picture(this.client);
    this.changes.push(change);
    await this.write();
    await applySecrets(this.client, secretsOf(this.dist));
    this.revision = this.repository.commit(message);
    return before;
  }

  /** The commit before the last change. */
  async revert(message: string): Promise<void> {
    this.changes.pop();
    await this.write();
    this.revision = this.repository.commit(message);
  }

  settled(seconds = 90): Promise<Json[]> {
    return this.argo.settled(this.revision, this.folders(), seconds);
  }

  folders(): number {
    return fs.readdirSync(this.dist, { withFileTypes: true }).filter((entry) => entry.isDirectory()).length;
  }
}

export type Picture = ReadonlyMap<string, { readonly uid: string; readonly generation: number }>;

const KINDS: readonly (readonly [string, string])[] = [
  ['v1', 'Namespace'],
  ['v1', 'Secret'],
  ['v1', 'PersistentVolume'],
  ['v1', 'PersistentVolumeClaim'],
  ['v1', 'Service'],
  ['apps/v1', 'Deployment'],
  ['apps/v1', 'StatefulSet'],
  ['apps/v1', 'DaemonSet'],
  ['batch/v1', 'Job'],
  ['networking.k8s.io/v1', 'NetworkPolicy'],
];

export async function picture(client: Client): Promise<Picture> {
  const all = new Map<string, { uid: string; generation: number }>();
  for (const [apiVersion, kind] of KINDS)
    for (const { metadata } of await client.list(apiVersion, kind))
      all.set(`${kind} ${metadata.namespace ?? ''}/${metadata.name}`, {
        uid: metadata.uid,
        generation: metadata.generation ?? 0,
      });
  return all;
}

/** Objects whose generation moved, that are new, and that are gone. The proof of the llm runs after each sync. */
export function difference(before: Picture, now: Picture): { changed: string[]; added: string[]; gone: string[] } {
  const counts = (key: string) => !/llm-service-proof|Secret kube-system/.test(key);
  return {
    changed: [...before]
      .filter(
        ([key, was]) =>
          counts(key) && now.has(key) && (now.get(key)!.generation !== was.generation || now.get(key)!.uid !== was.uid),
      )
      .map(([key]) => key),
    added: [...now.keys()].filter((key) => counts(key) && !before.has(key)),
    gone: [...before.keys()].filter((key) => counts(key) && !now.has(key)),
  };
}
