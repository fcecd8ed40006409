import * as http from 'node:http';
import * as https from 'node:https';
import type { KubeConfig } from '@kubernetes/client-node';

export type Json = Record<string, any>;

export interface Answer {
  readonly status: number;
  readonly body: Json;
  /** Texts of the Warning headers: what the API server accepts and advises against. */
  readonly warnings: readonly string[];
}

/** A kind as the API server knows it. */
interface Resource {
  readonly plural: string;
  readonly namespaced: boolean;
}

export const FIELD_MANAGER = 'collab-homelab-test';

/** What the tests ask an API server. The configuration and its credentials are the official client's business. */
export class Client {
  private readonly resources = new Map<string, Promise<Map<string, Resource>>>();
  private agent?: https.Agent;

  constructor(
    readonly config: KubeConfig,
    private readonly impersonate?: string,
  ) {}

  /** The same client as another user, such as a service account. */
  as(user: string): Client {
    return new Client(this.config, user);
  }

  async request(method: string, path: string, body?: unknown, type = 'application/json'): Promise<Answer> {
    const url = new URL(path, this.config.getCurrentCluster()!.server);
    const options: https.RequestOptions = { method, headers: { Accept: 'application/json' } };
    await this.config.applyToHTTPSOptions(options);
    options.agent = this.kept(options.agent);
    const text = body === undefined ? undefined : JSON.stringify(body);
    const headers = options.headers as Record<string, string | number>;
    if (text !== undefined) Object.assign(headers, { 'Content-Type': type, 'Content-Length': Buffer.byteLength(text) });
    if (this.impersonate !== undefined) headers['Impersonate-User'] = this.impersonate;
    return new Promise((resolve, reject) => {
      const request = (url.protocol === 'http:' ? http : https).request(url, options, (answer) => {
        const chunks: Buffer[] = [];
        answer.on('data', (chunk: Buffer) => chunks.push(chunk));
        answer.on('error', reject);
        answer.on('end', () => {
          const raw = Buffer.concat(chunks).toString();
          const warning = answer.headers.warning ?? '';
          resolve({
            status: answer.statusCode ?? 0,
            body: type === 'lines' ? { items: lines(raw) } : raw.startsWith('{') ? JSON.parse(raw) : { message: raw },
            warnings: [...warning.matchAll(/299 \S+ "((?:[^"\\]|\\.)*)"/g)].map(([, said]) =>
              said!.replace(/\\"/g, '"'),
            ),
          });
        });
      });
      request.setTimeout(30_000, () => request.destroy(new Error(`no answer to ${method} ${path} in 30 s`)));
      request.on('error', (error: NodeJS.ErrnoException) => {
        // The server closed a connection that was kept, before it saw the request.
        if (request.reusedSocket && error.code === 'ECONNRESET')
          this.request(method, path, body, type).then(resolve, reject);
        else reject(error);
      });
      request.end(text);
    });
  }

  /** One agent for all requests: a handshake costs more than most answers. */
  private kept(fresh: unknown): https.Agent | undefined {
    if (!(fresh instanceof https.Agent)) return fresh as undefined;
    this.agent ??= new https.Agent({ ...fresh.options, keepAlive: true });
    return this.agent;
  }

  /** What happened to the objects of a list since a resource version that its path names, in order. */
  async watch(path: string, seconds: number): Promise<Json[]> {
    const { body } = await this.request('GET', `${path}&watch=1&timeoutSeconds=${seconds}`, undefined, 'lines');
    return body.items;
  }

  /** @throws on any answer that is not 2xx, with the server's message */
  async ask(method: string, path: string, body?: unknown, type?: string): Promise<Json> {
    const answer = await this.request(method, path, body, type);
    if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${answer.body.message ?? ''}`);
    return answer.body;
  }

  async pathOf({ apiVersion, kind, metadata }: Json): Promise<string> {
    const { plural, namespaced } = await this.resource(apiVersion, kind);
    const scope = namespaced ? `/namespaces/${metadata.namespace ?? 'default'}` : '';
    return `${root(apiVersion)}${scope}/${plural}/${metadata.name}`;
  }

  /** Server-side apply with field validation Strict, as Argo CD does but for its name. */
  async apply(object: Json, manager = FIELD_MANAGER): Promise<Answer> {
    const path = await this.pathOf(object);
    const query = `?fieldManager=${manager}&force=true&fieldValidation=Strict`;
    return this.request('PATCH', `${path}${query}`, object, 'application/apply-patch+yaml');
  }

  async get(object: Json): Promise<Json | undefined> {
    const answer = await this.request('GET', await this.pathOf(object));
    if (answer.status === 404) return undefined;
    if (answer.status >= 300) throw new Error(`${object.kind} ${object.metadata.name}: ${answer.body.message}`);
    return answer.body;
  }

  /** All objects of a kind, in one namespace or in all. */
  async list(apiVersion: string, kind: string, namespace?: string): Promise<Json[]> {
    const { plural } = await this.resource(apiVersion, kind);
    const scope = namespace === undefined ? '' : `/namespaces/${namespace}`;
    return (await this.ask('GET', `${root(apiVersion)}${scope}/${plural}`)).items;
  }

  async delete(object: Json, options: Json = {}): Promise<Answer> {
    return this.request('DELETE', await this.pathOf(object), options);
  }

  private async resource(apiVersion: string, kind: string): Promise<Resource> {
    let known = await this.kinds(apiVersion);
    if (!known.has(kind)) {
      // A definition that was applied a moment ago.
      this.resources.delete(apiVersion);
      known = await this.kinds(apiVersion);
    }
    const found = known.get(kind);
    if (!found) throw new Error(`the API server knows no ${kind} of ${apiVersion}`);
    return found;
  }

  private kinds(apiVersion: string): Promise<Map<string, Resource>> {
    const known = this.resources.get(apiVersion) ?? this.discover(apiVersion);
    this.resources.set(apiVersion, known);
    return known;
  }

  private async discover(apiVersion: string): Promise<Map<string, Resource>> {
    const { resources = [] } = (await this.request('GET', root(apiVersion))).body;
    return new Map(
      resources
        .filter(({ name }: Json) => !name.includes('/'))
        .map(({ name, kind, namespaced }: Json) => [kind, { plural: name, namespaced }]),
    );
  }
}

function root(apiVersion: string): string {
  return apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
}

/** A JSON object a line, as a watch answers. */
function lines(raw: string): Json[] {
  return raw
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Json);
}
