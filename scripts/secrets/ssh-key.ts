import { generateKeyPairSync, randomBytes } from 'node:crypto';

/** SSH keys in OpenSSH's own format (PROTOCOL.key), which every version of ssh reads; Node writes only PEM of other kinds. */

const KIND = 'ssh-ed25519';
const MAGIC = Buffer.from('openssh-key-v1\0');
const HEAD = '-----BEGIN OPENSSH PRIVATE KEY-----';
const TAIL = '-----END OPENSSH PRIVATE KEY-----';

/** A new private key, without a passphrase. */
export function sshKey(comment: string): string {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const seed = Buffer.from(privateKey.export({ format: 'jwk' }).d!, 'base64url');
  const point = Buffer.from(publicKey.export({ format: 'jwk' }).x!, 'base64url');
  const blob = Buffer.concat([field(KIND), field(point)]);
  const check = randomBytes(4);
  const secret = Buffer.concat([check, check, blob, field(Buffer.concat([seed, point])), field(comment)]);
  const padding = Buffer.from(Array.from({ length: (8 - (secret.length % 8)) % 8 }, (_, at) => at + 1));
  const body = Buffer.concat([
    MAGIC,
    field('none'),
    field('none'),
    field(''),
    Buffer.from([0, 0, 0, 1]),
    field(blob),
    field(Buffer.concat([secret, padding])),
  ]);
  return `${[HEAD, ...body.toString('base64').match(/.{1,70}/g)!, TAIL].join('\n')}\n`;
}

/** The line for authorized_keys that belongs to a private key; undefined where the text is no such key. */
export function publicHalf(privateKey: string, comment: string): string | undefined {
  const body = Buffer.from(privateKey.split('\n').slice(1).join('').replace(TAIL, ''), 'base64');
  if (!privateKey.startsWith(HEAD) || !body.subarray(0, MAGIC.length).equals(MAGIC)) return undefined;
  let at = MAGIC.length;
  for (let skipped = 0; skipped < 3; skipped++) at += 4 + body.readUInt32BE(at);
  at += 4;
  const blob = body.subarray(at + 4, at + 4 + body.readUInt32BE(at));
  return `${KIND} ${blob.toString('base64')} ${comment}`;
}

function field(value: string | Buffer): Buffer {
  const bytes = Buffer.from(value as string);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}
