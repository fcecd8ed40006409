import { createPrivateKey, createPublicKey, sign, verify } from 'node:crypto';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { givenValue } from '../../scripts/secrets/given';
import { makeValues } from '../../scripts/secrets/made';
import { valuesOf } from '../../scripts/secrets/store';
import { keysOfSecret, Secret } from '../../values/secret';
import type { ListedSecret, SecretSource } from '../../values/secrets';

const folder = fs.mkdtempSync(join(tmpdir(), 'given-'));
afterAll(() => fs.rmSync(folder, { recursive: true }));
const file = (name: string, content: string | Uint8Array) => {
  fs.writeFileSync(join(folder, name), content);
  return `file:${join(folder, name)}`;
};
const PEM = '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----';

test.each([
  ['a password', 'hunter2', 'hunter2'],
  ['white space around it', ' hunter2\t', 'hunter2'],
  ['several lines', `${PEM}\n\n`, `${PEM}\n`],
])('takes %s', (_what, answer, value) => {
  expect(givenValue(answer, 'mail')).toBe(value);
});

test('takes the content of a file', () => {
  expect(givenValue(file('key.pem', `${PEM}\r\n`.replace(/(?<!\r)\n/g, '\r\n')), 'mail')).toBe(`${PEM}\n`);
  expect(givenValue(` ${file('password', 'hunter2\n')} `, 'mail')).toBe('hunter2');
});

test.each([
  ['an empty answer', () => ' ', 'mail must not be empty; run this again'],
  ['an empty file', () => file('empty', '\n'), 'mail must not be empty'],
  ['the first line of a key', () => PEM.split('\n')[0]!, 'only its first line arrived'],
  ['a file that is not there', () => `file:${folder}/none`, 'none, which cannot be read (ENOENT)'],
  ['a folder', () => `file:${folder}`, 'which cannot be read (EISDIR)'],
  ['bytes', () => file('bytes', new Uint8Array([0xff, 0xfe])), 'is not text in UTF-8'],
  ['a long file', () => file('long', 'x'.repeat(100_001)), 'has 100001 bytes (allowed: 100000'],
])('refuses %s', (_what, answer, message) => {
  expect(() => givenValue(answer(), 'mail')).toThrow(message);
});

const secretOf = (source: SecretSource): ListedSecret => ({
  ...{ name: 'identity.key', namespaces: ['services'], type: 'Opaque', readers: [] },
  keys: keysOfSecret(source) as Record<string, SecretSource>,
});
const made = (secret: ListedSecret) =>
  makeValues(secret, Object.keys(secret.keys), undefined, async () => {
    throw new Error('nobody is asked');
  });

test.each([
  ['rsa', 'RSA-SHA256'],
  ['ed25519', null],
] as const)('the two halves of a pair of kind %s belong together', async (kind, algorithm) => {
  const secret = secretOf(Secret.keyPair(kind).source as SecretSource);
  const { 'private-key': key, 'public-key': half } = await made(secret);
  const message = Buffer.from('token');
  const signature = sign(algorithm, message, createPrivateKey(key!));
  expect(verify(algorithm, message, createPublicKey(half!), signature)).toBe(true);
  expect([key, half].map((pem) => pem!.split('\n')[0])).toEqual([
    '-----BEGIN PRIVATE KEY-----',
    '-----BEGIN PUBLIC KEY-----',
  ]);
  if (kind === 'rsa') expect(createPrivateKey(key!).asymmetricKeyDetails!.modulusLength).toBe(3072);
  expect((await made(secret))['private-key']).not.toBe(key);
});

test('the public half of an SSH key is a line of authorized_keys', async () => {
  expect((await made(secretOf({ generate: 'ssh-ed25519' })))['public-key']).toMatch(
    /^ssh-ed25519 AAAA\S+ identity\.key$/,
  );
});

test.each<[string, SecretSource, string, string]>([
  [
    'an empty value',
    { ask: 'password' },
    ' ',
    'identity.key must hold a value as value, and secrets.sops.yaml holds an empty one',
  ],
  [
    'a password in the place of a key',
    { generate: 'rsa-key', bits: 3072 },
    'hunter2',
    'must hold a private key of kind rsa as PEM, without a passphrase as private-key',
  ],
  [
    'an SSH key of another form',
    { generate: 'ssh-ed25519' },
    PEM,
    'must hold an SSH key in OpenSSH format, without a passphrase',
  ],
])('a file in which %s stands stops, without showing it', async (_what, source, value, message) => {
  const secret = secretOf(source);
  const [key] = Object.keys(secret.keys) as [string];
  const read = () => valuesOf(secret, { secrets: { services: { 'identity.key': { [key]: value } } }, previous: {} });
  expect(read).toThrow(message);
  expect(read).not.toThrow(/hunter2|AAAA/);
});

test('a key of another kind stops', async () => {
  const { 'private-key': key } = await made(secretOf({ generate: 'ed25519-key' }));
  const secret = secretOf({ generate: 'rsa-key', bits: 3072 });
  const kept = { secrets: { services: { 'identity.key': { 'private-key': key! } } }, previous: {} };
  expect(() => valuesOf(secret, kept)).toThrow('holds one of kind ed25519');
});
