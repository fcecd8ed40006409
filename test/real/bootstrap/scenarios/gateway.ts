import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import type { Json } from '../../cluster/client';
import type { Tally } from '../../tally';
import { disturbed, secretValues, tail, type Point, type Reference } from '../harness/disturbed';
import { WITH_GATEWAY, WITHOUT_GATEWAY, type Lab, type Run } from '../harness/lab';
import { secretsIn } from '../harness/secrets-in';
import { haproxyOf } from '../simulator/programs/haproxy';
import { isActive, ubuntuOf } from '../simulator/programs/ubuntu';
import { changed } from './refusals';

const MACHINE = 'ai-vm';
const MAP = '/etc/collab-homelab/llm-clients.map';
const SECRET = 'llm-service-assistant';
const UNITS = ['haproxy.service', 'ollama.service'];
/** What the steps of the proxy call on its machine, each of which a run may die at. */
const KILLED: readonly (readonly [string, Point['how']])[] = [
  [`${MACHINE}: haproxy -c -f /etc/haproxy/haproxy.cfg`, 'before'],
  [`${MACHINE}: systemctl enable --quiet haproxy.service`, 'after'],
  [`${MACHINE}: systemctl reload-or-restart haproxy.service`, 'during'],
  [`${MACHINE}: systemctl reload-or-restart haproxy.service`, 'after'],
];

/**
 * The proxy in front of Ollama: what verify sees of it, kills in its steps, a new key, and the switch in a homelab that runs.
 * @param full every kill, not one of each kind
 */
export async function gateway(lab: Lab, tally: Tally, reference: Reference, full: boolean): Promise<void> {
  await looked(lab, tally, 'done');
  await broken(lab, tally);
  for (const [signature, how] of full ? KILLED : KILLED.slice(-2, -1)) {
    const came = await disturbed(lab, tally, { stage: 'ai-vm', signature, nth: 0, how }, reference);
    tally.check(`the proxy, ${how}: ${signature}: the call comes`, came !== undefined);
  }
  await rotated(lab, tally);
  await rotatedAfterKills(lab, tally, full ? [0, 1, 2] : [1]);
  await switched(lab, tally);
}

/** All that verify says of the proxy is good. */
async function looked(lab: Lab, tally: Tally, from?: string): Promise<void> {
  if (from !== undefined) await lab.restore(from);
  const found = await verified(lab);
  const all = [
    /^the proxy in front of Ollama on ai-vm$/,
    /^keys of the proxy$/,
    /^a request without a key is refused$/,
    /^a request with a key passes$/,
    /^a key deletes no model$/,
    /^requests that wait$/,
  ];
  tally.check(
    'verify sees the proxy, its keys, whom it lets through, and its queues',
    all.every((what) => found.some((each) => what.test(each.what) && each.state === 'good')),
    JSON.stringify(found),
  );
}

/** Keys that were taken out of the running process are missed; a proxy that is stopped is bad. Both have a fix that mends it. */
async function broken(lab: Lab, tally: Tally): Promise<void> {
  await lab.restore('done');
  const map = haproxyOf(lab.simulation, MACHINE).maps[MAP]!;
  map.versions[map.current] = [];
  const bad = async (what: string) => (await verified(lab)).find((each) => each.what === what && each.state === 'bad');
  const keys = await bad('keys of the proxy');
  tally.check('verify misses keys in the running proxy', /apply ai-vm/.test(keys?.fix), JSON.stringify(keys));
  const mended = await lab.run(['apply', MACHINE, '--yes']);
  tally.check('the next run gives it the keys', mended.code === 0 && hasKeys(lab), tail(mended));
  const ubuntu = lab.simulation.state.extra.ubuntu[MACHINE];
  ubuntu.active = ubuntu.active.filter((unit: string) => unit !== UNITS[0]);
  const stopped = await bad('the proxy in front of Ollama on ai-vm');
  tally.check('verify sees a proxy that is stopped', /apply ai-vm/.test(stopped?.fix), JSON.stringify(stopped));
  const started = await lab.run(['apply', MACHINE, '--yes']);
  tally.check(
    'the next run starts it',
    started.code === 0 && isActive(lab.simulation, MACHINE, UNITS[0]!),
    tail(started),
  );
}

/** A new key reaches the running proxy, and the old one does not stay. */
async function rotated(lab: Lab, tally: Tally): Promise<void> {
  await lab.restore('done');
  const before = keyOf(lab);
  const run = await lab.run(['rotate', SECRET, '--yes']);
  hasChanged(lab, tally, `rotate ${SECRET}`, before, run);
  const calls = lab.simulation.calls.length;
  const again = await lab.run(['apply', MACHINE, '--yes']);
  tally.check(
    `rotate ${SECRET}: then the stage has nothing to do`,
    again.code === 0 && changed(lab, calls).length === 0,
    tail(again),
  );
}

/** The run dies while the proxy takes the keys, with half of them made known. */
async function rotatedAfterKills(lab: Lab, tally: Tally, calls: readonly number[]): Promise<void> {
  for (const nth of calls) {
    await lab.restore('done');
    const before = keyOf(lab);
    let left = nth;
    // The script on the machine ends with the run.
    lab.simulation.answering = async ({ program, changing }) => {
      if (program !== 'socat' || !changing || left-- !== 0) return;
      lab.simulation.onKill();
      lab.simulation.endSessions(MACHINE);
    };
    const killed = await lab.run(['rotate', SECRET, '--yes']);
    lab.simulation.answering = undefined;
    const what = `rotate ${SECRET}, killed after change ${nth + 1} of the map`;
    tally.check(`${what}: the run is killed`, killed.code === null, tail(killed));
    hasChanged(lab, tally, what, before, await lab.run(['rotate', SECRET, '--yes']));
  }
}

/** Off and on again while clients run: first their keys, then the proxy that asks for them. */
async function switched(lab: Lab, tally: Tally): Promise<void> {
  await lab.restore('done');
  edited(lab, WITH_GATEWAY, WITHOUT_GATEWAY);
  const off = await applied(lab);
  tally.check(
    'the proxy off: it is gone, and Ollama listens for all',
    off.code === 0 && units(lab) === 'ollama.service' && !fs.existsSync(join(lab.simulation.files(MACHINE), MAP)),
    `${units(lab)}\n${tail(off)}`,
  );
  await nothingLeft(lab, tally, 'the proxy off');
  neverHad(lab);
  await lab.plane.client.apply(clientOf(lab), 'argocd-controller');
  edited(lab, WITHOUT_GATEWAY, WITH_GATEWAY);
  const calls = lab.simulation.calls.length;
  const refused = await applied(lab);
  const changing = changed(lab, calls);
  tally.check(
    'the proxy on while a client runs without its key: stops and says which, and what comes first',
    refused.code === 4 &&
      /run without: services\/assistant\. First:\n.*apply secrets\n\s*git push/.test(refused.output),
    tail(refused),
  );
  tally.check(
    'the proxy on while a client runs without its key: Ollama goes on as it was',
    units(lab) === 'ollama.service' &&
      changing.every(({ argv }) => !/ollama|haproxy\.cfg|llm-proxy/.test(argv.join(' '))),
    changing.map(({ argv }) => argv.join(' ').slice(0, 200)).join('\n'),
  );
  const secrets = await lab.run(['apply', 'secrets', '--yes']);
  tally.check('the proxy on: first the keys', secrets.code === 0, tail(secrets));
  await lab.plane.client.apply(clientOf(lab), 'argocd-controller');
  const on = await applied(lab);
  tally.check('the proxy on: once clients have them', on.code === 0 && units(lab) === UNITS.join(), tail(on));
  await nothingLeft(lab, tally, 'the proxy on');
  await looked(lab, tally);
}

function hasChanged(lab: Lab, tally: Tally, what: string, before: string, run: Run): void {
  const now = keyOf(lab);
  tally.check(`${what}: ends well with another key`, run.code === 0 && now !== before, tail(run));
  tally.check(
    `${what}: file and running proxy know it, and no longer the old one`,
    hasKeys(lab) && knows(lab, now) && !knows(lab, before),
    JSON.stringify(running(lab)),
  );
  const leaks = secretsIn(lab, [before, ...secretValues(lab).values()], run.output);
  tally.check(`${what}: no secret in what was left or said`, leaks.length === 0, leaks.join('\n'));
}

async function nothingLeft(lab: Lab, tally: Tally, what: string): Promise<void> {
  const calls = lab.simulation.calls.length;
  const again = await lab.run(['apply', MACHINE, '--yes']);
  const changing = changed(lab, calls);
  tally.check(
    `${what}: then there is nothing to do`,
    again.code === 0 && changing.length === 0,
    `${changing.map(({ argv }) => argv.join(' ').slice(0, 200)).join('\n')}\n${tail(again)}`,
  );
  tally.check(
    `${what}: nothing unknown was called`,
    lab.simulation.unexpected.length === 0,
    lab.simulation.unexpected.join('\n'),
  );
}

/** What the owner does: edits, and renders. */
function edited(lab: Lab, from: string, to: string): void {
  lab.edit(from, to);
  for (const script of [['main.ts'], ['scripts/bootstrap.ts', 'render']])
    execFileSync(process.execPath, ['-r', 'ts-node/register', ...script], {
      cwd: lab.workspace.path,
      stdio: 'pipe',
      timeout: 120_000,
    });
}

/** As a machine that was set up without a proxy. */
function neverHad({ simulation }: Lab): void {
  const ubuntu = ubuntuOf(simulation, MACHINE);
  ubuntu.packages = ubuntu.packages.filter((name) => !['haproxy', 'socat'].includes(name));
  for (const path of ['etc/haproxy', 'usr/lib/systemd/system/haproxy.service'])
    fs.rmSync(join(simulation.files(MACHINE), path), { recursive: true });
}

const applied = (lab: Lab) => lab.run(['apply', MACHINE, '--yes']);

/** The client as it is rendered now. */
function clientOf({ workspace }: Lab): Json {
  return parse(fs.readFileSync(join(workspace.path, 'dist/services/deployment.assistant.yaml'), 'utf8'));
}

async function verified(lab: Lab): Promise<Json[]> {
  const { output } = await lab.run(['verify', '--json'], 0.5);
  return JSON.parse(output.slice(output.indexOf('[')));
}

function units({ simulation }: Lab): string {
  return UNITS.filter((unit) => isActive(simulation, MACHINE, unit)).join();
}

function keyOf(lab: Lab): string {
  const [, key] = [...secretValues(lab)].find(([path]) => path.includes(` ${SECRET} `) && !path.includes('previous'))!;
  return key;
}

function running(lab: Lab): string[] {
  const { current, versions } = haproxyOf(lab.simulation, MACHINE).maps[MAP]!;
  return versions[current]!;
}

/** The running proxy has what its file has. */
function hasKeys(lab: Lab): boolean {
  const file = fs.readFileSync(join(lab.simulation.files(MACHINE), MAP), 'utf8');
  return (
    file !== '' &&
    file ===
      running(lab)
        .map((line) => `${line}\n`)
        .join('')
  );
}

function knows(lab: Lab, key: string): boolean {
  const digest = createHash('sha256').update(key).digest('hex');
  return running(lab).some((line) => line.startsWith(digest));
}
