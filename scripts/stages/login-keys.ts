import type { Homelab } from '../../inventory';
import { Blocked } from '../engine/problem';

/** @throws Blocked when nobody could log in to a machine that gets these keys */
export function requireLoginKeys({ access }: Homelab): void {
  const fix =
    'put your own public key into access.sshKeys of homelab.ts: cat ~/.ssh/id_ed25519.pub, then npm run synth';
  if (access === undefined || access.sshKeys.length === 0)
    throw new Blocked(`access.sshKeys must hold a public key, or nobody could log in to the machines; ${fix}`);
  const example = access.sshKeys.find((key) => key.includes('EXAMPLE'));
  if (example !== undefined)
    throw new Blocked(
      `access.sshKeys must hold your own public key, but holds the example ${example.slice(0, 40)}…; ${fix}`,
    );
}
