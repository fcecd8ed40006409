import { createPrivateKey, randomBytes, X509Certificate } from 'node:crypto';

/** A certificate and its private key, as PEM. */
export interface Pair {
  readonly certificate: string;
  readonly key: string;
}

const DAY = 24 * 60 * 60 * 1000;
/** Ten years: the owner makes devices trust it by hand, one by one. */
const AUTHORITY_DAYS = 3652;
/**
 * Apple's systems refuse more than 825 days from any authority (support.apple.com/HT210176), and 398 from those that it ships
 * (HT211025); the smaller holds for browsers too, less one day for clocks that are wrong.
 */
const LEAF_DAYS = 397;
/** Time to notice, at one look a month. */
const RENEW_DAYS = 30;

const ECDSA = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };

/** The homelab's own authority. It can sign only names below one domain, even if its key is stolen. */
export async function makeAuthority(name: string, domain: string, now = new Date()): Promise<Pair> {
  const { x509, keys, key } = await fresh();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serial(),
    // The day in it distinguishes this authority from a later one.
    name: [{ CN: [`${name} homelab authority ${now.toISOString().slice(0, 10)}`] }],
    notBefore: now,
    notAfter: new Date(now.getTime() + AUTHORITY_DAYS * DAY),
    signingAlgorithm: ECDSA,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      new x509.Extension(NAME_CONSTRAINTS, true, nameConstraints(domain)),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { certificate: pem(certificate.toString('pem')), key };
}

/** A server's certificate from that authority, with a key of its own. */
export async function issue(authority: Pair, dnsNames: readonly string[], now = new Date()): Promise<Pair> {
  const { x509, keys, key } = await fresh();
  const issuer = new x509.X509Certificate(authority.certificate);
  const signingKey = await crypto.subtle.importKey('pkcs8', x509.PemConverter.decode(authority.key)[0]!, ECDSA, false, [
    'sign',
  ]);
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serial(),
    subject: [{ CN: [dnsNames[0]!] }],
    issuer: issuer.subjectName,
    notBefore: now,
    notAfter: new Date(Math.min(now.getTime() + LEAF_DAYS * DAY, issuer.notAfter.getTime())),
    signingAlgorithm: ECDSA,
    publicKey: keys.publicKey,
    signingKey,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension(dnsNames.map((value) => ({ type: 'dns' as const, value }))),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
    ],
  });
  return { certificate: pem(certificate.toString('pem')), key };
}

/** Why a kept certificate must be renewed, or undefined. */
export function renewalReason(
  certificate: string,
  dnsNames: readonly string[],
  authority: string,
  now = new Date(),
): string | undefined {
  const leaf = parsed(certificate);
  const issuer = parsed(authority);
  if (leaf === undefined || issuer === undefined) return 'it is not readable';
  const names = (leaf.subjectAltName ?? '').split(', ').map((entry) => entry.replace(/^DNS:/, ''));
  if ([...names].sort().join() !== [...dnsNames].sort().join())
    return `it is for ${names.join(', ')}, wanted: ${dnsNames.join(', ')}`;
  if (!leaf.checkIssued(issuer) || !leaf.verify(issuer.publicKey)) return 'it is from another authority';
  const end = new Date(leaf.validTo);
  return end.getTime() - now.getTime() < RENEW_DAYS * DAY ? `it ends on ${end.toISOString().slice(0, 10)}` : undefined;
}

/** Whether a key belongs to a certificate. */
export function belongTogether({ certificate, key }: Pair): boolean {
  const leaf = parsed(certificate);
  try {
    return leaf?.checkPrivateKey(createPrivateKey(key)) === true;
  } catch {
    return false;
  }
}

/** Days until a certificate ends; undefined where it cannot be read. */
export function daysLeft(certificate: string, now = new Date()): number | undefined {
  const found = parsed(certificate);
  return found && Math.floor((new Date(found.validTo).getTime() - now.getTime()) / DAY);
}

/** The domain that an authority is limited to, as it was made here. */
export function isLimitedTo(authority: string, domain: string): boolean {
  const found = parsed(authority);
  return found !== undefined && found.raw.includes(nameConstraints(domain));
}

function parsed(certificate: string): X509Certificate | undefined {
  try {
    return new X509Certificate(certificate);
  } catch {
    return undefined;
  }
}

async function fresh() {
  await import('reflect-metadata');
  const x509 = await import('@peculiar/x509');
  const keys = await crypto.subtle.generateKey(ECDSA, true, ['sign', 'verify']);
  const pkcs8 = await crypto.subtle.exportKey('pkcs8', keys.privateKey);
  return { x509, keys, key: pem(x509.PemConverter.encode(pkcs8, 'PRIVATE KEY')) };
}

/** Positive, 16 bytes (RFC 5280 allows 20). */
function serial(): string {
  const bytes = randomBytes(16);
  bytes[0] = (bytes[0]! & 0x7f) | 0x40;
  return bytes.toString('hex');
}

function pem(text: string): string {
  return `${text.trim()}\n`;
}

const NAME_CONSTRAINTS = '2.5.29.30';

/**
 * RFC 5280 4.2.1.10: names of DNS below the domain are permitted; addresses, which a limit on names says nothing about, are
 * excluded as a whole. The library has no class for it.
 */
function nameConstraints(domain: string): Buffer {
  const tagged = (tag: number, ...parts: Buffer[]): Buffer => {
    const content = Buffer.concat(parts);
    const length = content.length < 128 ? [content.length] : [0x82, content.length >> 8, content.length & 255];
    return Buffer.concat([Buffer.from([tag, ...length]), content]);
  };
  const subtree = (tag: number, base: Buffer) => tagged(0x30, tagged(tag, base));
  const [PERMITTED, EXCLUDED, DNS, ADDRESS] = [0xa0, 0xa1, 0x82, 0x87] as const;
  return tagged(
    0x30,
    tagged(PERMITTED, subtree(DNS, Buffer.from(domain, 'ascii'))),
    tagged(EXCLUDED, subtree(ADDRESS, Buffer.alloc(8)), subtree(ADDRESS, Buffer.alloc(32))),
  );
}
