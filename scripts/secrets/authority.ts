import * as fs from 'node:fs';
import { join } from 'node:path';
import type { Homelab } from '../../inventory';
import { belongTogether, daysLeft, isLimitedTo, makeAuthority, type Pair } from './certificates';
import { ROOT } from '../engine/root';
import { NotReady, Blocked } from '../engine/problem';
import { SECRETS, writeWhole, type Sops } from '../engine/sops';
import type { Step } from '../engine/step';
import { action } from '../engine/actions';

/** The certificate that devices trust: public, and committed. */
export const AUTHORITY_FILE = join(ROOT, 'ca.crt');

/** The command that makes the Mac trust it: once for each authority. */
export const TRUST_ON_MAC =
  'sudo security add-trusted-cert -d -r trustRoot -k /Library/Keychains/System.keychain ca.crt';

/** The own authority as it is kept, or undefined where none was made. @throws Blocked when it is not one of ours */
export async function keptAuthority(sops: Sops, homelab: Homelab): Promise<Pair | undefined> {
  const tree = await sops.read(SECRETS.authority, ([key]) => key === 'certificate');
  if (tree === undefined) return undefined;
  const pair = { certificate: String(tree.certificate), key: String(tree.key) };
  if (!belongTogether(pair))
    throw new Blocked(
      `${SECRETS.authority} must hold a certificate and its key, but does not; restore it from Git: git checkout -- ${SECRETS.authority}`,
    );
  const replaceIt = `remove ${SECRETS.authority}, run this again, and make your devices trust the new ca.crt`;
  if (!isLimitedTo(pair.certificate, homelab.network.domain))
    throw new Blocked(
      `the own authority is limited to another domain than network.domain of homelab.ts, ${homelab.network.domain}; ${replaceIt}`,
    );
  // A certificate from it would end with it, and have to be renewed at once.
  const days = daysLeft(pair.certificate) ?? 0;
  if (days <= 30)
    throw new Blocked(`the own authority must be valid for more than 30 days, but ends in ${days}; ${replaceIt}`);
  return pair;
}

/** The homelab's own authority: made once, kept outside of the cluster. */
export function authoritySteps(sops: Sops, homelab: Homelab): Step[] {
  return [
    {
      title: 'an own authority for certificates',
      async plan() {
        if ((await keptAuthority(sops, homelab)) !== undefined) return undefined;
        const { domain } = homelab.network;
        const what = `keep in ${SECRETS.authority}, encrypted: a new authority for ${domain} and names below it, for ten years`;
        const make = async () => {
          const { certificate, key } = await makeAuthority(homelab.name, domain);
          await sops.write(SECRETS.authority, { certificate, key }, ([name]) => name === 'certificate');
        };
        return { actions: [action(what, make)] };
      },
    },
    {
      title: 'ca.crt holds its certificate',
      async plan() {
        const kept = await keptAuthority(sops, homelab);
        if (kept === undefined) throw new NotReady('the authority must be created first');
        const there = fs.existsSync(AUTHORITY_FILE) ? fs.readFileSync(AUTHORITY_FILE, 'utf8') : undefined;
        if (there === kept.certificate) return undefined;
        const what = [`${there === undefined ? 'write' : 'replace'} ca.crt; then, on the Mac:`, `  ${TRUST_ON_MAC}`];
        return { actions: [action(what, async () => writeWhole(AUTHORITY_FILE, kept.certificate))] };
      },
    },
  ];
}
