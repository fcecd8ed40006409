import { execFileSync } from 'node:child_process';
import type { Server } from 'node:http';
import homelab from '../../../fixtures/homelab';
import { workers } from '../../../../inventory';
import { makeAuthority } from '../../../../scripts/secrets/certificates';
import type { Client, Json } from '../../cluster/client';
import { standIns, stop } from '../../gitops/routes';
import type { Tally } from '../../tally';
import type { Clone } from '../harness/clone';

/**
 * What verify sees of the API, and of the ways in through the real ingress controller with the certificate that the bootstrap
 * made. What it would ask inside of pods and machines is not there, and is said one by one.
 */
export async function verified(clone: Clone, client: Client, tally: Tally): Promise<void> {
  const addresses = workers(homelab).map(([, { address }]) => address);
  for (const address of addresses) execFileSync('ip', ['addr', 'replace', `${address}/32`, 'dev', 'lo']);
  const servers = new Map<string, readonly Server[]>();
  for (const each of await client.list('networking.k8s.io/v1', 'Ingress'))
    servers.set(each.spec.rules[0].host, await standIns(client, each));
  const hosts = [...servers.keys()];
  const ways = (host: string) => addresses.map((address) => `https://${host} at ${address}`);
  try {
    const { code, output, saw } = await looked(clone);
    const good = [
      /^talos-worker-01 is ready/,
      /^claims of cassandra/,
      /^application services/,
      /^certificate traefik-certificate/,
      /^own authority/,
      /^secrets/,
    ];
    tally.check(
      'verify sees nodes, claims, applications, secrets and certificates as they are',
      good.every((what) => [...saw].some(([each, { state }]) => what.test(each) && state === 'good')),
      output,
    );
    tally.check(
      'every host name answers over TLS at every worker, with the certificate that the bootstrap made',
      hosts.length >= 2 && hosts.flatMap(ways).every((way) => saw.get(way)?.saw === 'status 200'),
      output,
    );
    tally.check(
      'each machine and pod that cannot be asked is bad, and verify ends with 1',
      code === 1 &&
        ['storages of proxmox', 'ring cassandra', 'replica set mongodb', 'models'].every(
          (what) => saw.get(what)?.state === 'bad',
        ),
      output,
    );
    const [gone, ...others] = hosts;
    stop(servers.get(gone!)!);
    const without = await looked(clone);
    tally.check(
      'a web app that does not answer is bad, and only it',
      ways(gone!).every((way) => without.saw.get(way)?.state === 'bad') &&
        others.flatMap(ways).every((way) => without.saw.get(way)?.state === 'good'),
      without.output,
    );
    const route = 'dist/web/ingress.web.yaml';
    const rendered = clone.read(route);
    const host = `app.${homelab.network.domain}`;
    const unknown = `unknown.${homelab.network.domain}`;
    clone.write(route, `${rendered}${rendered.replaceAll(host, unknown)}`);
    const unrouted = await looked(clone);
    clone.write(route, rendered);
    tally.check(
      'a route that the controller does not know is bad',
      ways(unknown).every((way) => unrouted.saw.get(way)?.saw === 'status 404 for /readyz'),
      unrouted.output,
    );
    const authority = clone.read('ca.crt');
    clone.write('ca.crt', (await makeAuthority(homelab.name, homelab.network.domain)).certificate);
    const untrusted = await looked(clone);
    const { output: read } = await clone.run('verify');
    clone.write('ca.crt', authority);
    tally.check(
      'a certificate of another authority is none',
      hosts.flatMap(ways).every((way) => /certificate problem/i.test(untrusted.saw.get(way)?.saw)),
      untrusted.output,
    );
    tally.check(
      'for people it names the addresses to open, and how to log in',
      [`https://app.${homelab.network.domain}`, 'port-forward', 'argocd-initial-admin-secret'].every((text) =>
        read.includes(text),
      ),
      read,
    );
  } finally {
    [...servers.values()].forEach(stop);
  }
}

async function looked(clone: Clone) {
  const { code, output } = await clone.run('verify', '--json');
  const found: Json[] = JSON.parse(output.slice(output.indexOf('[')));
  // Findings of one cause are told as one.
  const each = found.flatMap((one) => (one.what as string).split(', ').map((what) => [what, one] as const));
  return { code, output, saw: new Map(each) };
}
