import type { IConstruct } from 'constructs';
import { imageParts } from '../values/names';
import { fail } from './validation';

/**
 * Every image except the owner's, with an exact version and the source of that version. To update, change it here and review the
 * diff in dist/.
 */
export const images = {
  /** Official image, Java 17 (docker-library/cassandra, versions.json). Holds python3, which cqlsh needs. */
  cassandra: 'docker.io/library/cassandra:5.0.8',
  /** Official image on Ubuntu noble (docker-library/mongo, versions.json). Holds mongosh. */
  mongodb: 'docker.io/library/mongo:8.0.26',
  /** Encrypted backups (github.com/restic/restic). On Alpine: holds busybox, ssh, sftp and jq, which the scripts of backups need. */
  restic: 'docker.io/restic/restic:0.18.1',
  /** Ingress controller (github.com/traefik/traefik; the newest release that the tests can build and run). */
  traefik: 'docker.io/library/traefik:v3.6.12',
  /** For a script that asks an HTTP endpoint: nothing but Python's standard library. */
  python: 'docker.io/library/python:3.13.5-alpine3.22',
  /** A TCP proxy that runs without root (github.com/nginx/docker-nginx-unprivileged). */
  tcpProxy: 'docker.io/nginxinc/nginx-unprivileged:1.28.0-alpine',
  /** Stand-in for an image of your own that does not exist yet: answers on /healthz, /readyz and /metrics (github.com/stefanprodan/podinfo). */
  standIn: 'ghcr.io/stefanprodan/podinfo:6.14.1',
} as const;

/** The given image, or the official image in the given version. @throws when both are given */
export function imageOf(
  scope: IConstruct,
  official: string,
  { image, version }: { readonly image?: string; readonly version?: string },
): string {
  if (image !== undefined && version !== undefined)
    fail(scope, {
      what: 'version must not be set together with image, which has its own version',
      got: version,
      fix: `leave one of the two out: version is that of ${official.split(':')[0]}`,
    });
  return image ?? (version === undefined ? official : `${official.split(':')[0]}:${version}`);
}

/** The tag of an image; undefined if it has only a digest. */
export function tagOf(image: string): string | undefined {
  return imageParts(image).tag;
}
