import { parseAllDocuments } from 'yaml';
import type { Image } from './state';

/** What the simulation reads in a machine configuration. */
export interface TalosConfig {
  readonly text: string;
  readonly controlPlane: boolean;
  readonly authority: string;
  readonly hostname?: string;
  readonly address?: string;
  readonly alias?: { readonly name: string; readonly match: string };
  readonly link?: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly installImage?: string;
  readonly kubernetes: string;
  readonly volumes: readonly { readonly name: string; readonly match: string; readonly filesystem: string }[];
}

const configs = new Map<string, TalosConfig>();

export function readConfig(text: string): TalosConfig {
  const known = configs.get(text);
  if (known) return known;
  const documents: any[] = parseAllDocuments(text).map((document) => document.toJS());
  const main = documents.find((document) => document?.machine) ?? {};
  const kind = (name: string) => documents.filter((document) => document?.kind === name);
  const link = kind('LinkConfig').find(({ addresses }) => addresses?.length > 0);
  const alias = kind('LinkAliasConfig').find(({ name }) => name === link?.name);
  const old = main.machine?.network?.interfaces?.find(({ addresses }: any) => addresses?.length > 0);
  const address = link?.addresses[0].address ?? old?.addresses[0];
  const found: TalosConfig = {
    text,
    controlPlane: main.machine?.type === 'controlplane',
    authority: main.machine?.ca?.crt ?? '',
    hostname: kind('HostnameConfig')[0]?.hostname ?? main.machine?.network?.hostname,
    ...(address && { address: address.split('/')[0] }),
    ...(link && { link: link.name }),
    ...(alias && { alias: { name: alias.name, match: alias.selector?.match ?? '' } }),
    labels: main.machine?.nodeLabels ?? {},
    installImage: main.machine?.install?.image,
    kubernetes: /kubelet:(v[\d.]+)/.exec(main.machine?.kubelet?.image ?? '')?.[1] ?? '',
    volumes: kind('UserVolumeConfig').map(({ name, provisioning, filesystem }) => ({
      name,
      match: provisioning?.diskSelector?.match ?? 'false',
      filesystem: filesystem?.type ?? 'xfs',
    })),
  };
  configs.set(text, found);
  return found;
}

/** An installer image of the factory, as factory.talos.dev/nocloud-installer/SCHEMATIC:v1.13.9. */
export function installedImage(reference: string): Image {
  const [, platform, schematic, version] =
    /\/(\w+)-installer(?:-secureboot)?\/([0-9a-f]+):(v[\w.-]+)$/.exec(reference) ?? [];
  if (platform) return { system: 'talos', platform, schematic: schematic!, version: version! };
  return { system: 'talos', platform: 'metal', version: reference.replace(/^.*:/, '') };
}
