import * as fs from 'node:fs';
import { join } from 'node:path';
import { talosCommand } from '../../command-line';
import { rebootVm, stopVm, type TalosNode } from '../../life';
import { Failure, program, Unexpected, type Answer, type Call, type Exec } from '../program';
import { apply } from './apply-config';
import { get } from './get';
import { etcdMembers, etcdStatus, snapshot } from './etcd';
import { Session } from './session';
import { reset, upgrade, upgradeKubernetes } from './upgrade';
import { health, service } from './services';

/** What talos-machinery answers for real: commands that need no node. */
const OFFLINE: Readonly<Record<string, string>> = {
  'gen secrets': 'gen-secrets',
  'gen config': 'gen-config',
  'machineconfig patch': 'patch',
  validate: 'validate',
};
export const talosctl = [
  {
    ...program(['local'], ['talosctl'], (context): Promise<Answer | Exec | string> =>
      run(new Session(context, talosCommand(context.call.argv))),
    ),
    isReal: ({ argv }: Call) => ['gen', 'validate', 'machineconfig'].includes(argv[0]!),
  },
];

async function run(session: Session): Promise<Answer | Exec | string> {
  const offline = OFFLINE[session.command];
  if (offline) return machinery(session, offline);
  if (
    session.options.insecure === 'true' &&
    !['apply-config', 'get', 'version', 'reset', 'upgrade'].includes(session.command)
  )
    throw new Unexpected('--insecure');
  await session.open();
  switch (session.command) {
    case 'version':
      return version(session);
    case 'get':
      return get(session);
    case 'apply-config':
      return apply(session);
    case 'bootstrap':
      return bootstrap(session);
    case 'kubeconfig':
      return kubeconfig(session);
    case 'health':
      return health(session);
    case 'service':
      return service(session);
    case 'reboot':
      return session.each((node) => rebootVm(session.context.simulation, Number(node.vmid)));
    case 'shutdown':
      return session.each((node) => stopVm(session.context.simulation, node.vmid));
    case 'reset':
      return session.each((node) => reset(session, node));
    case 'upgrade':
      return session.each((node) => upgrade(session, node));
    case 'upgrade-k8s':
      return upgradeKubernetes(session);
    case 'etcd snapshot':
      return snapshot(session);
    case 'etcd members':
      return etcdMembers(session);
    case 'etcd status':
      return etcdStatus(session);
    case 'read':
      return read(session, session.line.positional[0]!);
    case 'dmesg':
      return session
        .nodes()
        .map((node) => `${node.address}: user: warning: [2026-01-01T00:00:00Z]: [talos] boot ${node.disk.boots}\n`)
        .join('');
    case 'containers':
      return session.lines('NODE NAMESPACE ID IMAGE PID STATUS', () => [
        ['system', 'apid', 'ghcr.io/siderolabs/apid', '1000', 'RUNNING'],
      ]);
  }
  throw new Unexpected(`talosctl ${session.command} is not simulated`);
}

/** The same arguments, without the words of the command. */
function machinery(session: Session, command: string): Exec {
  const argv = [...session.context.call.argv];
  for (const word of session.command.split(' ')) argv.splice(argv.indexOf(word), 1);
  return { exec: session.context.simulation.options.talosMachinery, argv: [command, ...argv] };
}

function version(session: Session): string {
  const long = (tag: string) =>
    `\tTag:         ${tag}\n\tSHA:         2f1ba0b4\n\tBuilt:       \n\tGo version:  go1.26.0\n\tOS/Arch:     linux/amd64\n`;
  // Its owner may install another one.
  const own: string = session.context.state.extra.talosctl ?? 'v1.13.9';
  const client = `Client:\n${session.options.short === 'true' ? `Talos ${own}\n` : long(own)}`;
  if (session.options.client === 'true') return client;
  session.context.write({ stdout: `${client}Server:\n` });
  return session
    .nodes('error getting version: ')
    .map((node) => `\tNODE:        ${node.address}\n${long(node.image.version)}\tEnabled:     RBAC\n`)
    .join('');
}

function bootstrap(session: Session): string {
  const nodes = session.nodes('error executing bootstrap: ');
  if (nodes.length > 1) throw new Failure('command "bootstrap" is not supported with multiple nodes');
  const refused = (code: string, why: string) =>
    new Failure(`error executing bootstrap: rpc error: code = ${code} desc = ${why}`);
  const [node] = nodes as [TalosNode];
  if (node.stage !== 'running') throw refused('FailedPrecondition', 'bootstrap is not available yet');
  if (!node.config!.controlPlane) throw refused('Unimplemented', 'bootstrap is only available on control plane nodes');
  if (node.disk.bootstrappedAt !== undefined) throw refused('AlreadyExists', 'etcd data directory is not empty');
  node.disk.bootstrappedAt = Date.now();
  session.context.state.cluster.kubernetes = node.config!.kubernetes;
  return '';
}

function kubeconfig(session: Session): string {
  const [node] = session.nodes('error copying: ') as [TalosNode];
  const text = session.context.simulation.options.kubeconfig?.();
  if (text === undefined) throw new Unexpected('the test gave no kubeconfig');
  if (!node.config!.controlPlane)
    throw new Failure(
      'error copying: rpc error: code = Unimplemented desc = kubeconfig is only available on control plane nodes',
    );
  const [given = '-'] = session.line.positional;
  if (given === '-') return text;
  const path = session.context.path(given);
  const file = fs.existsSync(path) && fs.statSync(path).isDirectory() ? join(path, 'kubeconfig') : path;
  if (fs.existsSync(file) && session.options.merge !== 'false') throw new Unexpected('a merge of kubeconfig files');
  if (fs.existsSync(file) && session.options.force !== 'true')
    throw new Failure(`kubeconfig file already exists, use --force to overwrite: "${given}"`);
  fs.writeFileSync(file, text, { mode: 0o600 });
  return '';
}

function read(session: Session, path: string): string {
  const [node] = session.nodes() as [TalosNode];
  const known: Readonly<Record<string, string>> = {
    '/proc/sys/kernel/random/boot_id': `00000000-0000-4000-8000-${String(node.disk.boots).padStart(12, '0')}\n`,
    '/proc/sys/vm/max_map_count': `${/vm\.max_map_count: ?"?(\d+)/.exec(node.config!.text)?.[1] ?? 65530}\n`,
  };
  if (known[path] === undefined) throw new Unexpected(`talosctl read ${path}`);
  return known[path];
}
