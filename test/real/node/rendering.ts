import { App } from 'cdk8s';
import { homelabApp } from '../../../charts';
import { DeclaredSecret } from '../../../constructs';
import { defineHomelab } from '../../../inventory';
import { makeValues } from '../../../scripts/secrets/made';
import { render } from '../../../synth';
import { changed } from '../../homelab';
import type { Cluster, TestNode } from './node';
import type { Pod } from './pod';
import type { Files } from './volumes';

type Json = any;

/** Rendered objects of a homelab or a test app, and its declared secrets. */
export class Rendered {
  readonly objects: readonly Json[];
  readonly secrets: readonly DeclaredSecret[];

  /** @param source a change of the test's homelab, or charts of the test's own */
  constructor(source: ((homelab: Json) => void) | App) {
    const app = source instanceof App ? source : homelabApp(defineHomelab(changed(source)));
    this.objects = render(app).map(({ object }) => object);
    this.secrets = DeclaredSecret.all(app);
  }

  of(kind: string, namespace: string): Json[] {
    return this.objects.filter((object) => object.kind === kind && object.metadata.namespace === namespace);
  }

  /** Data of each ConfigMap. */
  configMaps(): Map<string, Files> {
    const maps = this.objects.filter(({ kind }) => kind === 'ConfigMap');
    const binary = (data: Readonly<Record<string, string>> = {}) =>
      Object.fromEntries(Object.entries(data).map(([key, text]) => [key, Buffer.from(text, 'base64')]));
    return new Map(
      maps.map(({ metadata, data, binaryData }) => [
        `${metadata.namespace}/${metadata.name}`,
        { ...data, ...binary(binaryData) },
      ]),
    );
  }

  /**
   * Gives a cluster the ConfigMaps and the secrets of this rendering.
   * @param asked what an owner types, by the name of the secret
   */
  async bring(cluster: Cluster, asked: Readonly<Record<string, string>> = {}): Promise<void> {
    for (const [name, data] of this.configMaps()) cluster.configMaps.set(name, data);
    for (const { name, namespaces, keys, type, readers } of this.secrets) {
      const listed = { name, namespaces, keys, type, readers };
      const values = await makeValues(listed, Object.keys(keys), undefined, async (key) => {
        if (asked[name] === undefined) throw new Error(`the test has no answer for ${name}/${key}`);
        return asked[name];
      });
      for (const namespace of namespaces) cluster.secrets.set(`${namespace}/${name}`, values);
    }
  }

  /**
   * Runs a pod of a Deployment, StatefulSet, Job or CronJob, with the Services that select it.
   * @param address of a pod that is gone; a new one by default
   */
  runPod(node: TestNode, object: Json, suffix = '0', address?: string): Pod {
    const { name, namespace } = object.metadata;
    const { template } = object.kind === 'CronJob' ? object.spec.jobTemplate.spec : object.spec;
    const labels = template.metadata?.labels ?? {};
    const services = this.of('Service', namespace)
      .filter(({ spec }) => Object.entries(spec.selector).every(([key, value]) => labels[key] === value))
      .map(({ metadata }) => metadata.name);
    const manifest = { metadata: { name: `${name}-${suffix}`, namespace, labels }, spec: template.spec };
    return node.run(manifest, services, object.spec.serviceName, address);
  }

  /**
   * Puts values for every secret into a cluster, where it has none.
   * @param byHand passwords that an owner typed, by name of the secret
   */
  async fillSecrets({ secrets }: Cluster, byHand: Readonly<Record<string, string>> = {}): Promise<void> {
    for (const { name, namespaces, keys, type, readers } of this.secrets) {
      if (namespaces.every((namespace) => secrets.has(`${namespace}/${name}`))) continue;
      if (
        Object.values(keys).some((source) => 'ask' in source || ('generate' in source && /^cert/.test(source.generate)))
      )
        continue;
      const values: Record<string, string> = {
        ...(await makeValues({ name, namespaces, keys, type, readers }, Object.keys(keys), undefined, () => {
          throw new Error('nothing is asked for here');
        })),
      };
      if (byHand[name] !== undefined) {
        values.password = byHand[name];
        if ('password-in-uri' in values) values['password-in-uri'] = encodeURIComponent(byHand[name]);
      }
      for (const namespace of namespaces) secrets.set(`${namespace}/${name}`, values);
    }
  }

  /** Starts the pods of a StatefulSet, all at once, as it asks for. */
  runSet(node: TestNode, set: Json, ordinals = [...Array(set.spec.replicas).keys()]): Pod[] {
    return ordinals.map((ordinal) => this.runMember(node, set, ordinal));
  }

  /** @param address of a pod that is gone; a new one by default */
  runMember(node: TestNode, set: Json, ordinal: number, address?: string): Pod {
    return this.runPod(node, set, String(ordinal), address);
  }

  /** Runs the one job of a namespace to its end. @returns its pod */
  async runJob(node: TestNode, namespace: string, suffix: string): Promise<{ pod: Pod; code: number }> {
    const [job] = this.of('Job', namespace);
    const name = `${job.metadata.name}-${suffix}`;
    const pod = node.run({ metadata: { name, namespace }, spec: job.spec.template.spec });
    const code = await pod.ended;
    await pod.stop(0);
    return { pod, code };
  }

  /** A pod with the environment of a service and the programs of an image; it runs a command, or waits for those that a test types. */
  runClient(
    node: TestNode,
    service: string,
    image: string,
    suffix = '',
    command: readonly string[] = ['sleep', 'infinity'],
  ): Pod {
    const deployment = this.objects.find(({ kind, metadata }) => kind === 'Deployment' && metadata.name === service);
    const [container] = deployment.spec.template.spec.containers;
    return node.run({
      metadata: { name: `${service}${suffix}`, namespace: deployment.metadata.namespace },
      spec: {
        ...deployment.spec.template.spec,
        volumes: [{ name: 'tmp', emptyDir: { sizeLimit: '64Mi' } }],
        containers: [
          {
            name: 'client',
            image,
            command,
            env: [{ name: 'HOME', value: '/tmp' }, ...(container.env ?? [])],
            resources: { limits: { memory: '512Mi' } },
            securityContext: container.securityContext,
            volumeMounts: [{ name: 'tmp', mountPath: '/tmp' }],
          },
        ],
      },
    });
  }
}
