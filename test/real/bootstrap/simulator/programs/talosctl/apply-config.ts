import { spawn } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { parse as parseYaml } from 'yaml';
import { bootTalos, type TalosNode } from '../../life';
import { installedImage, readConfig } from '../../talos-config';
import { Failure, Unexpected, type Answer } from '../program';
import type { Session } from './session';

/** Sections of a machine configuration whose change needs a reboot. */
const NEEDS_REBOOT = ['type', 'token', 'systemDiskEncryption', 'files', 'udev', 'baseRuntimeSpecOverrides', 'disks'];

/** `talosctl apply-config`. */
export async function apply(session: Session): Promise<Answer> {
  const { file, mode = 'auto' } = session.options;
  if (!file) throw new Failure('no filename supplied for configuration');
  if (session.line.lists['config-patch']) throw new Unexpected('apply-config --config-patch');
  const bytes = await session.context.read(file).catch((error: Error) => {
    throw new Failure(`failed to read configuration from "${file}": ${error.message}`);
  });
  const text = bytes.toString();
  if (text.length === 0) throw new Failure('no configuration data read');
  const nodes = session.nodes('error applying new configuration: ');
  await validate(session, text);
  const said = nodes.map((node) => applyTo(session, node, text, mode));
  return { stderr: said.map((each) => `${each}\n`).join('') };
}

function applyTo(session: Session, node: TalosNode, text: string, wanted: string): string {
  const { disk } = node;
  const maintenance = node.config === undefined;
  const reason = maintenance ? undefined : rebootReason(disk.config!, text);
  const mode = maintenance && wanted === 'reboot' ? 'no-reboot' : wanted;
  if ((mode === 'no-reboot' || mode === 'try') && reason)
    throw new Failure(`error applying new configuration: rpc error: code = InvalidArgument desc = ${reason}`);
  const real = mode === 'auto' ? (reason ? 'reboot' : 'no-reboot') : mode;
  const details = {
    'no-reboot': 'Applied configuration without a reboot',
    try: 'Applied configuration without a reboot',
    staged: 'Staged configuration to be applied after the next reboot',
    reboot: 'Applied configuration with a reboot',
  }[real]!;
  const why = mode === 'auto' && reason ? `: ${reason}` : '';
  if (session.options['dry-run'] === 'true')
    return `Dry run summary:\n${details} (skipped in dry-run).\nConfig diff:\n\n${diff(disk.config ?? '', text)}`;
  if (real === 'try') throw new Unexpected('apply-config --mode try');
  if (maintenance) {
    disk.config = text;
    const image = readConfig(text).installImage;
    if (image) node.volume.image = { ...node.image, ...installedImage(image) };
    // It installs, and boots from its disk.
    bootTalos(disk, 'installing', 4);
  } else if (real === 'staged') disk.staged = text;
  else {
    disk.config = text;
    delete disk.staged;
    if (real === 'reboot') bootTalos(disk, 'rebooting');
  }
  return `${details}${why}`;
}

/** As the node does, but strictly: what it would only warn of is an error of ours. */
async function validate(session: Session, text: string): Promise<void> {
  const file = join(session.context.simulation.folder, `validate-${session.context.simulation.calls.length}.yaml`);
  fs.writeFileSync(file, text);
  const child = spawn(session.context.simulation.options.talosMachinery, [
    'validate',
    '--config',
    file,
    '--mode',
    'metal',
    '--strict',
  ]);
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (said += chunk.toString()));
  const code = await new Promise((done) => child.once('close', done));
  fs.rmSync(file);
  if (code !== 0)
    throw new Failure(`error applying new configuration: rpc error: code = InvalidArgument desc = ${said.trim()}`);
}

/** Why a change cannot be applied at once, as the node says; only what reaches far is looked at. */
function rebootReason(before: string, after: string): string | undefined {
  const machine = (text: string): any =>
    parseYaml(text.split(/^---$/m).find((part) => /^machine:/m.test(part)) ?? '')?.machine ?? {};
  const [old, next] = [machine(before), machine(after)];
  const changed = NEEDS_REBOOT.find((key) => JSON.stringify(old[key]) !== JSON.stringify(next[key]));
  return changed && `this config change can't be applied in immediate mode\ndiff: .machine.${changed} changed`;
}

/** What a dry run shows: lines that go and lines that come. */
function diff(before: string, after: string): string {
  if (before === after) return 'No changes.';
  const [old, next] = [before.split('\n'), after.split('\n')];
  const lines = [
    ...old.filter((each) => !next.includes(each)).map((each) => `-${each}`),
    ...next.filter((each) => !old.includes(each)).map((each) => `+${each}`),
  ];
  return `--- a\n+++ b\n@@ -1 +1 @@\n${lines.join('\n')}`;
}
