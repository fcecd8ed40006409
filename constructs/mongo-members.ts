import type { Construct, IConstruct } from 'constructs';
import { mongodSettingsProblem } from '../values/database-settings';
import { compatibilityProblem, mongodbVersionProblem } from '../values/database-versions';
import { membersOf, membersProblem, podsProblem } from '../values/members';
import { imageProblem, serviceNameProblem } from '../values/names';
import { bytes, sizeProblem } from '../values/quantity';
import type { Connections } from './connections';
import { databaseNames, keptData, superuser, type DatabaseNames } from './database';
import { imageOf, images, tagOf } from './images';
import type { MongoReplicaSetProps } from './mongo-replica-set';
import { DeclaredSecret } from './secrets';
import { assertValid, fail, namespaceOf } from './validation';
import type { DataStorage } from './volumes';

/** Port of mongod. */
export const PORT = 27017;
export const GIB = 1024 ** 3;

/** The members of a replica set and their names, for a running and for a retired set. */
export class MongoMembers {
  readonly names: DatabaseNames;
  readonly image: string;
  readonly replicaSet: string;
  private readonly members: number;
  private readonly pods: number;

  constructor(
    private readonly scope: IConstruct,
    private readonly props: MongoReplicaSetProps,
  ) {
    this.names = databaseNames('mongodb', props.name ?? scope.node.id, namespaceOf(scope, props.namespace));
    this.image = imageOf(scope, images.mongodb, props);
    this.members = props.members ?? 3;
    this.pods = props.pods ?? this.members;
    this.replicaSet = props.replicaSetName ?? 'rs0';
    this.validate();
  }

  /** Values that the disks hold. They may never change. */
  get identity(): Readonly<Record<string, unknown>> {
    const { replicaSet, members, image } = this;
    return { replicaSet, members, image };
  }

  podNames(): string[] {
    return Array.from({ length: this.pods }, (_, ordinal) => `${this.names.name}-${ordinal}`);
  }

  /** Hosts with ports, without hidden members: these serve no clients, and a driver drops them from its list. */
  hostsForClients(): string[] {
    const members = membersOf(this.members, this.props.memberOptions);
    return this.hosts().filter((_, ordinal) => !members[ordinal]!.hidden);
  }

  /** Configuration that the reconciler reads at each round. */
  json(): string {
    const hosts = this.hosts();
    const members = membersOf(this.members, this.props.memberOptions).map((member, index) => ({
      _id: index,
      host: hosts[index],
      ...member,
    }));
    const { replicaSet } = this;
    const { featureCompatibilityVersion } = this.props;
    return `${JSON.stringify({ replicaSet, featureCompatibilityVersion, quietSeconds: 30, intervalSeconds: 10, members }, null, 2)}\n`;
  }

  private hosts(): string[] {
    const { name, namespace } = this.names;
    return this.podNames()
      .slice(0, this.members)
      .map((pod) => `${pod}.${name}.${namespace}.svc.cluster.local:${PORT}`);
  }

  private validate(): void {
    const { scope } = this;
    const { resources, version, config, featureCompatibilityVersion } = this.props;
    assertValid(
      scope,
      serviceNameProblem(this.names.name, 'the name of a replica set', 40),
      imageProblem(this.image, 'image'),
      version === undefined ? undefined : mongodbVersionProblem(version, 'version'),
      featureCompatibilityVersion === undefined
        ? undefined
        : compatibilityProblem(featureCompatibilityVersion, tagOf(this.image), 'featureCompatibilityVersion'),
      config === undefined ? undefined : mongodSettingsProblem(config, 'config'),
      sizeProblem(resources.memory, 'memory'),
      membersProblem(this.members, 'members', this.props.memberOptions),
      podsProblem(this.pods, this.members, 'pods'),
    );
    if (bytes(resources.memory) < GIB) {
      fail(scope, {
        what: 'mongod must have at least 1 GiB of memory',
        got: resources.memory,
        fix: 'give it at least 1 GiB: less leaves too little beside the smallest cache of 256 MiB',
      });
    }
    if (!/^[A-Za-z0-9][A-Za-z0-9_-]{0,47}$/.test(this.replicaSet)) {
      fail(scope, {
        what: 'replicaSetName must be 1 to 48 letters, digits, _ and -',
        got: this.replicaSet,
        fix: 'write it like rs0',
      });
    }
  }
}

/** Objects of a set that exist also when it is retired. */
export function keptMongo(
  scope: Construct,
  members: MongoMembers,
  storage: DataStorage,
): { readonly connections: Connections; readonly keyfile: DeclaredSecret; readonly rootSecret: DeclaredSecret } {
  const { names } = members;
  return {
    connections: keptData(scope, names, { storage, pods: members.podNames(), identity: members.identity }),
    keyfile: new DeclaredSecret(scope, 'keyfile', {
      name: `${names.name}-keyfile`,
      namespaces: [names.namespace],
      keys: { keyfile: { generate: 'base64', bytes: 756 } },
    }),
    rootSecret: superuser(scope, names, 'root'),
  };
}
