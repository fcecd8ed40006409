/**
 * The programs of the simulated machines: one file or folder for each, or for a few that belong together. To add one, write
 *
 *     import { Failure, program } from './program';
 *
 *     export const uptime = [
 *       program(['proxmox', 'ubuntu'], ['uptime'], ({ call, state }) => {
 *         if (call.argv.length > 0) throw new Failure('usage: uptime');
 *         return `up ${state.slept} seconds\n`;
 *       }),
 *     ];
 *
 * and list it below. A handler answers with text, with { stdout, stderr, code } or with { exec, argv } for a real program;
 * throws Failure for an end with an error and Unexpected for what it does not know; keeps what it must remember in
 * `state.extra` under its own name, and files where the machine has them (`path('/etc/x')`). What happens when a machine boots
 * goes into a Boot, beside the programs.
 */
import { curl } from './curl';
import { haproxy } from './haproxy';
import { bootOfHost, hostBoot } from './host-boot';
import { hostDevices } from './host-devices';
import { packages } from './packages';
import { kubectl } from './kubectl';
import { ping } from './ping';
import { power } from './power';
import type { Kind, Program } from './program';
import { pvesh } from './pvesh';
import { pvesm } from './pvesm';
import { qm } from './qm';
import { ssh } from './ssh';
import { sudo } from './sudo';
import { talosctl } from './talosctl';
import { bootOfUbuntu, ubuntu } from './ubuntu';
import type { Simulation } from '../simulation';

/** Runs whenever a machine of a kind boots, the first time included. */
export interface Boot {
  readonly kinds: readonly Kind[];
  readonly run: (simulation: Simulation, machine: string) => void;
}

export const programs: readonly Program[] = [
  ...curl,
  ...haproxy,
  ...hostBoot,
  ...hostDevices,
  ...packages,
  ...kubectl,
  ...ping,
  ...power,
  ...pvesh,
  ...pvesm,
  ...qm,
  ...ssh,
  ...sudo,
  ...talosctl,
  ...ubuntu,
];

export const boots: readonly Boot[] = [bootOfHost, bootOfUbuntu];
