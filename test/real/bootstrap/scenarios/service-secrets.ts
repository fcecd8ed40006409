import { execFileSync } from 'node:child_process';
import { createPrivateKey, createPublicKey } from 'node:crypto';
import * as fs from 'node:fs';
import { join } from 'node:path';
import type { Tally } from '../../tally';
import { secretValues, tail } from '../harness/disturbed';
import type { Lab } from '../harness/lab';
import { secretsIn } from '../harness/secrets-in';
import { changed } from './refusals';

/** Secrets of services as an owner writes them: each kind, and one that two namespaces share. */
const SERVICE = 'identity: { connects: [';
const OF_THE_SERVICE = `identity: {
      secrets: {
        SESSION_KEY: Secret.generated(48),
        SIGNING_KEY: Secret.keyPair('ed25519').file('/run/secrets/signing.pem'),
        SMTP_PASSWORD: Secret.asked('password of the mail account'),
        TLS_KEY: Secret.asked('key of the mail server').file('/run/secrets/tls.key'),
        PARTNER_KEY: Secret.shared('partner-api'),
      },
      connects: [`;
const WEB_APP = "web: { host: 'app',";
const SHARED = '  services: {\n';

const PASSWORD = 'Correct-Horse-Battery-9';
const KEY = createPrivateKeyText();

/** The owner gives a service secrets: some are generated, some asked for, and each can be rotated alone. */
export async function serviceSecrets(lab: Lab, tally: Tally): Promise<void> {
  await lab.restore('done');
  lab.edit('import { defineHomelab }', 'import { defineHomelab, Secret }');
  lab.edit(SERVICE, OF_THE_SERVICE);
  lab.edit(WEB_APP, `${WEB_APP} secrets: { PARTNER_KEY: Secret.shared('partner-api') },`);
  lab.edit(SHARED, `  secrets: { 'partner-api': Secret.generated() },\n${SHARED}`);
  execFileSync(process.execPath, ['-r', 'ts-node/register', 'main.ts'], {
    cwd: lab.workspace.path,
    stdio: 'pipe',
    timeout: 120_000,
  });
  const printed = await asks(lab, tally);
  await rotates(lab, tally);
  const seen = secretsIn(lab, [...secretValues(lab).values()], printed);
  tally.check(
    'secrets of services: no value in logs, arguments, files or messages',
    seen.length === 0,
    seen.join('\n'),
  );
}

async function asks(lab: Lab, tally: Tally): Promise<string> {
  // Outside of what is searched for secrets.
  const file = join(lab.folder, 'mail.key');
  fs.writeFileSync(file, KEY, { mode: 0o600 });
  const stops = async (what: string, code: number, says: RegExp, answers: Answers = []) => {
    const before = lab.simulation.calls.length;
    const files = lab.ownersFiles();
    const run = await lab.run(['apply', 'secrets', '--yes'], undefined, undefined, answers);
    tally.check(`${what}: stops and says so`, run.code === code && says.test(run.output), tail(run));
    tally.check(
      `${what}: changes nothing`,
      changed(lab, before).length === 0 && lab.ownersFiles() === files,
      tail(run),
    );
  };
  await stops(
    'an asked secret without a terminal',
    3,
    /nobody is here to answer "identity\.smtp-password: password of/,
  );
  // All questions are asked before anything is done.
  await stops('an empty answer', 4, /identity\.smtp-password must not be empty/, [
    [/\? identity\.smtp-password/, ''],
    [/\? identity\.tls-key/, `file:${file}`],
  ]);
  await stops('the first line of a key', 4, /only its first line arrived/, [
    [/\? identity\.smtp-password/, PASSWORD],
    [/\? identity\.tls-key/, KEY.split('\n')[0]!],
  ]);
  const first = await lab.run(['apply', 'secrets', '--yes'], undefined, undefined, [
    [/\? identity\.smtp-password/, PASSWORD],
    [/\? identity\.tls-key/, `file:${file}`],
  ]);
  fs.rmSync(file);
  tally.check('asked secrets are taken from a terminal', first.code === 0, tail(first));
  tally.check(
    'the password is in the cluster as it was typed, and the key with all of its lines',
    (await live(lab, 'services', 'identity.smtp-password')).value === PASSWORD &&
      (await live(lab, 'services', 'identity.tls-key')).value === KEY,
    tail(first),
  );
  const { 'private-key': key = '', 'public-key': half = '' } = await live(lab, 'services', 'identity.signing-key');
  tally.check('a key pair is in the cluster, and its halves belong together', publicOf(key) === half, tail(first));
  const [services, web] = [
    await live(lab, 'services', 'shared.partner-api'),
    await live(lab, 'web', 'shared.partner-api'),
  ];
  tally.check(
    'a shared secret has one value in both namespaces',
    services.value?.length === 48 && services.value === web.value,
    tail(first),
  );
  const before = lab.simulation.calls.length;
  const second = await lab.run(['apply', 'secrets', '--yes']);
  tally.check(
    'a second run asks nothing and has nothing to do',
    second.code === 0 && changed(lab, before).length === 0,
    tail(second),
  );
  return `${first.output}${second.output}`;
}

async function rotates(lab: Lab, tally: Tally): Promise<void> {
  const names = ['session-key', 'signing-key', 'smtp-password', 'tls-key'].map((name) => `identity.${name}`);
  const all = async () => JSON.stringify(await Promise.all(names.map((name) => live(lab, 'services', name))));
  for (const name of ['identity.session-key', 'identity.signing-key', 'shared.partner-api']) {
    const [old, others] = [await live(lab, 'services', name), await all()];
    const run = await lab.run(['rotate', name, '--yes']);
    const now = await live(lab, 'services', name);
    tally.check(
      `rotate ${name}: every key of it is new`,
      run.code === 0 && Object.keys(now).length > 0 && Object.keys(now).every((key) => now[key] !== old[key]),
      tail(run),
    );
    tally.check(
      `rotate ${name}: no other changed`,
      (await all()).replace(text(now), '') === others.replace(text(old), ''),
    );
  }
  const [services, web] = [
    await live(lab, 'services', 'shared.partner-api'),
    await live(lab, 'web', 'shared.partner-api'),
  ];
  tally.check('a rotated shared secret has one value in both namespaces', services.value === web.value);
  const { 'private-key': key = '', 'public-key': half = '' } = await live(lab, 'services', 'identity.signing-key');
  tally.check('a rotated key pair belongs together', publicOf(key) === half);
  const asked = await lab.run(['rotate', 'identity.smtp-password', '--yes'], undefined, undefined, [
    [/\? identity\.smtp-password/, `${PASSWORD}-2`],
  ]);
  tally.check(
    'rotate asks for what only the owner knows',
    asked.code === 0 && (await live(lab, 'services', 'identity.smtp-password')).value === `${PASSWORD}-2`,
    tail(asked),
  );
}

type Answers = NonNullable<Parameters<Lab['run']>[3]>;

/** A Secret of the cluster, decoded. */
async function live({ plane }: Lab, namespace: string, name: string): Promise<Record<string, string>> {
  const secret = await plane.client.get({ apiVersion: 'v1', kind: 'Secret', metadata: { name, namespace } });
  const data = Object.entries((secret?.data ?? {}) as Record<string, string>);
  return Object.fromEntries(data.map(([key, value]) => [key, Buffer.from(value, 'base64').toString()]));
}

function text(values: object): string {
  return JSON.stringify(values);
}

function publicOf(key: string): string | undefined {
  try {
    return createPublicKey(createPrivateKey(key)).export({ type: 'spki', format: 'pem' }).toString();
  } catch {
    return undefined;
  }
}

function createPrivateKeyText(): string {
  return execFileSync('openssl', ['genpkey', '-algorithm', 'ed25519'], { stdio: 'pipe' }).toString();
}
