import type { Client, Json } from '../cluster/client';
import { until } from '../cluster/processes';

/** The kinds that are judged: those that the library renders, and a few that own charts often have. */
export const GROUP_VERSIONS = [
  'v1',
  'apps/v1',
  'argoproj.io/v1alpha1',
  'autoscaling/v2',
  'batch/v1',
  'discovery.k8s.io/v1',
  'gateway.networking.k8s.io/v1',
  'networking.k8s.io/v1',
  'policy/v1',
  'rbac.authorization.k8s.io/v1',
  'scheduling.k8s.io/v1',
  'storage.k8s.io/v1',
] as const;

/** What an API server says of its types. */
export class OpenApi {
  static async of(client: Client): Promise<OpenApi> {
    const schemas: Record<string, Json> = {};
    for (const version of GROUP_VERSIONS) {
      const path = version.includes('/') ? `apis/${version}` : `api/${version}`;
      // Definitions that were applied a moment ago are described a little later.
      const described = await until(`the API server describes ${version}`, 60, async () => {
        const { components } = await client.ask('GET', `/openapi/v3/${path}`);
        return components?.schemas;
      });
      Object.assign(schemas, described);
    }
    return new OpenApi(schemas);
  }

  private readonly roots = new Map<string, string>();

  constructor(private readonly schemas: Readonly<Record<string, Json>>) {
    for (const [name, schema] of Object.entries(schemas))
      for (const { group, kind, version } of schema['x-kubernetes-group-version-kind'] ?? [])
        this.roots.set(`${group === '' ? '' : `${group}/`}${version} ${kind}`, name);
  }

  /** The type of a kind. */
  root({ apiVersion, kind }: Json): Type {
    const name = this.roots.get(`${apiVersion} ${kind}`);
    if (name === undefined) throw new Error(`the API server describes no ${kind} of ${apiVersion}`);
    return this.type(name, this.schemas[name]!);
  }

  /** Every field of a type; empty for one that is no struct. */
  fields(type: Type): Map<string, Type> {
    const { properties = {} } = type.schema;
    return new Map(
      Object.entries(properties as Record<string, Json>).map(([name, schema]) => [
        name,
        this.resolve(schema, `${type.name}.${name}`),
      ]),
    );
  }

  /** What is in a map or a list. */
  entries(type: Type): Type | undefined {
    const schema = type.schema.items ?? type.schema.additionalProperties;
    return typeof schema === 'object' ? this.resolve(schema, type.name) : undefined;
  }

  private resolve(schema: Json, inline: string): Type {
    const reference: string | undefined = schema.$ref ?? schema.allOf?.[0]?.$ref;
    if (reference === undefined) return { name: inline, schema };
    const name = reference.split('/').pop()!;
    // What stands beside a reference, such as a type of list, belongs to it.
    const { $ref: _, allOf: __, ...beside } = schema;
    return this.type(name, { ...this.schemas[name]!, ...beside });
  }

  private type(full: string, schema: Json): Type {
    return { name: shortName(full), schema };
  }
}

/** A type: by its name, or by its path below one that has a name. */
export interface Type {
  readonly name: string;
  readonly schema: Json;
}

/** core types by their last word; those of other groups that could be mistaken with their group. */
function shortName(full: string): string {
  const [, group = '', word] = /([^.]+)\.[^.]+\.([^.]+)$/.exec(full) ?? [];
  return group === 'discovery' ? `${group}.${word}` : (word ?? full);
}
