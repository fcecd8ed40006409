import { ipv4Network } from '../../../values/names';
import { variableNameProblem } from '../../../values/variable-names';
import { INTERNET, NOT_PUBLIC, notPublic } from '../../../values/ways-out';
import type { Tally } from '../tally';
import type { Client, Json } from './client';

/** Names of variables that images want, and others. */
const NAMES = [
  'LOG_LEVEL',
  'Logging__Level',
  'app.setting',
  'SPRING-X',
  '-x',
  '.hidden',
  '.',
  '..',
  '..x',
  'Logging:Level',
  'a b',
  '0_FIRST',
  'a/b',
  '$(X)',
  'A=B',
  'GRÖSSE',
  'tab\there',
  '',
];

/** Whether the API server accepts what our rules accept, and refuses what they refuse. Nothing is stored (dryRun). */
export async function waysAccepted(client: Client, tally: Tally, version: string): Promise<void> {
  for (const name of NAMES) {
    const ours = variableNameProblem(name, 'a variable', version) === undefined;
    const { status, body } = await tried(client, 'apps/v1', 'deployments', withVariable(name));
    const what = `the API server ${ours ? 'accepts' : 'refuses'} the variable ${JSON.stringify(name)}`;
    tally.check(what, status === (ours ? 201 : 422), `${status} ${body.message ?? ''}`);
  }
  const blocks: [cidr: string, except: readonly string[], accepted: boolean][] = [
    [INTERNET, notPublic(['10.244.0.0/16', '20.0.0.0/16']), true],
    ...NOT_PUBLIC.map((cidr): [string, string[], boolean] => [INTERNET, [cidr], true]),
    ['192.168.1.40/32', [], true],
    ['192.168.0.0/16', ['192.168.0.0/16'], false],
    ['192.168.0.0/16', ['10.0.0.0/8'], false],
  ];
  for (const [cidr, except, accepted] of blocks) {
    const { status, body, warnings } = await tried(
      client,
      'networking.k8s.io/v1',
      'networkpolicies',
      toBlock(cidr, except),
    );
    const what = `the API server ${accepted ? 'accepts' : 'refuses'} ${cidr} without ${except.join(', ')}`;
    tally.check(
      what,
      status === (accepted ? 201 : 422) && warnings.length === 0,
      `${status} ${body.message ?? ''} ${warnings}`,
    );
    tally.check(
      `${except.join(', ')} are networks`,
      except.every((each) => ipv4Network(each) !== undefined),
    );
  }
}

function tried(client: Client, apiVersion: string, plural: string, object: Json) {
  return client.request('POST', `/apis/${apiVersion}/namespaces/default/${plural}?dryRun=All`, object);
}

function withVariable(name: string): Json {
  const labels = { app: 'variable' };
  const containers = [{ name: 'app', image: 'ghcr.io/owner/app:1.0.0', env: [{ name, value: 'x' }] }];
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'variable' },
    spec: { selector: { matchLabels: labels }, template: { metadata: { labels }, spec: { containers } } },
  };
}

function toBlock(cidr: string, except: readonly string[]): Json {
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name: 'block' },
    spec: { podSelector: {}, policyTypes: ['Egress'], egress: [{ to: [{ ipBlock: { cidr, except } }] }] },
  };
}
