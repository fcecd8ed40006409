import { execFileSync, spawnSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  belongTogether,
  daysLeft,
  isLimitedTo,
  issue,
  makeAuthority,
  renewalReason,
} from '../../scripts/secrets/certificates';

const NAMES = ['*.collab.home.arpa'];
const DAY = 24 * 60 * 60 * 1000;

/** Verifies a chain with OpenSSL, which is independent of our library. */
function verify(authority: string, certificate: string, host?: string): string {
  const folder = fs.mkdtempSync(join(tmpdir(), 'certificates-'));
  fs.writeFileSync(join(folder, 'ca.crt'), authority);
  fs.writeFileSync(join(folder, 'tls.crt'), certificate);
  const args = ['verify', '-x509_strict', '-purpose', 'sslserver', ...(host ? ['-verify_hostname', host] : [])];
  const { stdout, stderr } = spawnSync('openssl', [...args, '-CAfile', 'ca.crt', 'tls.crt'], { cwd: folder });
  fs.rmSync(folder, { recursive: true });
  return `${stdout}${stderr}`;
}

test('the own certificate authority signs names below its domain', async () => {
  const authority = await makeAuthority('collab', 'collab.home.arpa');
  const leaf = await issue(authority, NAMES);
  expect(verify(authority.certificate, leaf.certificate, 'app.collab.home.arpa')).toContain('tls.crt: OK');
  expect(verify(authority.certificate, leaf.certificate, 'app.example.com')).toMatch(/hostname mismatch/i);
  expect(belongTogether(leaf)).toBe(true);
  expect(belongTogether({ certificate: leaf.certificate, key: authority.key })).toBe(false);
  expect(renewalReason(leaf.certificate, NAMES, authority.certificate)).toBeUndefined();
  expect(daysLeft(leaf.certificate)).toBe(396);
  expect(daysLeft(authority.certificate)).toBe(3651);
});

test('a stolen key of the authority cannot sign other names or addresses', async () => {
  const authority = await makeAuthority('collab', 'collab.home.arpa');
  const other = await issue(authority, ['bank.example.com']);
  expect(verify(authority.certificate, other.certificate)).toMatch(/permitted subtree violation/);
  expect(isLimitedTo(authority.certificate, 'collab.home.arpa')).toBe(true);
  expect(isLimitedTo(authority.certificate, 'home.arpa')).toBe(false);
  const text = execFileSync('openssl', ['x509', '-noout', '-text'], { input: authority.certificate }).toString();
  expect(text).toMatch(
    /Name Constraints: critical\s+Permitted:\s+DNS:collab.home.arpa\s+Excluded:\s+IP:0.0.0.0\/0.0.0.0\s+IP:0/,
  );
  expect(text).toMatch(/Basic Constraints: critical\s+CA:TRUE, pathlen:0/);
});

test('renews a certificate 30 days before its end, for other names, and for another authority', async () => {
  const authority = await makeAuthority('collab', 'collab.home.arpa');
  const { certificate } = await issue(authority, NAMES);
  const end = new Date(new X509Certificate(certificate).validTo).getTime();
  const reason = (at: number, names = NAMES, from = authority.certificate) =>
    renewalReason(certificate, names, from, new Date(at));
  expect(reason(end - 31 * DAY)).toBeUndefined();
  expect(reason(end - 29 * DAY)).toBe(`it ends on ${new Date(end).toISOString().slice(0, 10)}`);
  expect(reason(Date.now(), ['*.other.home.arpa'])).toMatch(/it is for \*\.collab\.home\.arpa, wanted/);
  // Same name and day: only the signature differs.
  const twin = await makeAuthority('collab', 'collab.home.arpa');
  expect(reason(Date.now(), NAMES, twin.certificate)).toBe('it is from another authority');
  expect(renewalReason('nonsense', NAMES, authority.certificate)).toBe('it is not readable');
});

test('no certificate outlives its authority', async () => {
  const authority = await makeAuthority('collab', 'collab.home.arpa', new Date(Date.now() - 3600 * DAY));
  const { certificate } = await issue(authority, NAMES);
  expect(new X509Certificate(certificate).validTo).toBe(new X509Certificate(authority.certificate).validTo);
});
