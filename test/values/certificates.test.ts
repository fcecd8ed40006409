import { issue, makeAuthority } from '../../scripts/secrets/certificates';
import { certificatesProblem } from '../../values/certificates';

test('accepts one or more PEM certificates; rejects anything else without printing it', async () => {
  const authority = await makeAuthority('collab', 'home.arpa');
  const { certificate, key } = await issue(authority, ['git.home.arpa']);
  const problem = (value: unknown) => certificatesProblem(value, 'git.ca');
  expect(problem(authority.certificate)).toBeUndefined();
  expect(problem(`${authority.certificate.trim()}\n\n${certificate}`)).toBeUndefined();
  expect(problem(`${certificate}${key}`)).toMatch(/got "a private key" .* remove it now/);
  expect(problem(`${certificate}${key}`)).not.toContain('BEGIN PRIVATE');
  expect(problem('~/ca.crt')).toMatch(/git\.ca must be certificates in PEM, got "something else"/);
  expect(problem(`ca: ${authority.certificate}`)).toMatch(/got "something else"/);
  expect(problem(authority.certificate.replace(/\n.{64}\n/, '\n'))).toMatch(/got "number 1 of 1, which is cut off/);
  expect(problem(undefined)).toMatch(/got "undefined"/);
});
