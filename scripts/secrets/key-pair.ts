import { createPrivateKey, createPublicKey, generateKeyPairSync } from 'node:crypto';

/** Private keys that sign, as PEM: PKCS #8, which the libraries of all languages read. */

export function rsaKey(bits: number): string {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: bits });
  return pem(privateKey.export({ type: 'pkcs8', format: 'pem' }));
}

export function ed25519Key(): string {
  return pem(generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }));
}

/** The public half as PEM (SubjectPublicKeyInfo); undefined where the text is no private key without a passphrase. */
export function publicPem(privateKey: string): string | undefined {
  try {
    return pem(createPublicKey(createPrivateKey(privateKey)).export({ type: 'spki', format: 'pem' }));
  } catch {
    // What the parser says may show a part of the key.
    return undefined;
  }
}

/** `rsa`, `ed25519` and so on; undefined where the text is no private key. */
export function kindOfKey(privateKey: string): string | undefined {
  try {
    return createPrivateKey(privateKey).asymmetricKeyType;
  } catch {
    return undefined;
  }
}

function pem(text: string | Buffer): string {
  return text.toString();
}
