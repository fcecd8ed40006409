import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { basename, join } from 'node:path';
import { parse } from 'yaml';
import type { Homelab } from '../../../inventory';
import { ADMIN, AI_VM_FILES, authorizedKeys, cloudInit, firewall } from '../../../machines/ai-vm';
import { ollamaOverride, ollamaVersion } from '../../../machines/ollama';
import { until, type Processes } from '../cluster/processes';
import { ollamaBinary } from './binaries';
import type { Lan, LanMachine } from './lan';

/** Home of the user that Ollama runs as. */
const OLLAMA_HOME = '/usr/share/ollama';
const CGROUPS = '/sys/fs/cgroup';
const IS_V1 = fs.existsSync(join(CGROUPS, 'memory'));

/**
 * A stand-in for the AI VM on the home network. It has our firewall, the sshd settings, users and keys of cloud-init, Ollama with
 * the user and environment of the rendered unit, and a cgroup that limits memory to that of the VM. The programs are those of the
 * test machine. There is no systemd, cloud-init or GPU.
 */
export class AiVm {
  private constructor(
    readonly machine: LanMachine,
    private readonly processes: Processes,
    private readonly homelab: Homelab,
    private readonly group: string,
  ) {}

  static async start(lan: Lan, processes: Processes, homelab: Homelab): Promise<AiVm> {
    const { llm, machines } = homelab;
    const { address, memory } = machines[llm!.machine]!;
    const folder = join(processes.folder, llm!.machine);
    fs.mkdirSync(folder, { recursive: true });
    const machine = await lan.join(llm!.machine, `${address}/24`, rootScript(folder, homelab));
    const group = join(CGROUPS, IS_V1 ? 'memory' : '', basename(processes.folder));
    fs.mkdirSync(group);
    fs.writeFileSync(join(group, IS_V1 ? 'memory.limit_in_bytes' : 'memory.max'), String(memory.toKibibytes() * 1024));
    const vm = new AiVm(machine, processes, homelab, group);
    const [program, ...args] = machine.argv('/usr/sbin/sshd', '-D', '-e', '-f', '/etc/ssh/sshd_config');
    processes.start('sshd', program, args);
    await vm.startOllama();
    return vm;
  }

  /** Starts Ollama like ollama.service, and waits until it answers on the machine. */
  async startOllama(): Promise<void> {
    const { port } = this.homelab.llm!;
    const settings = [...ollamaOverride(this.homelab).text.matchAll(/^Environment="(.*)"$/gm)].map(([, line]) => line!);
    const script = `echo $$ >${join(this.group, 'cgroup.procs')}; exec "$@"`;
    const [program, ...args] = this.machine.argv(
      ...['setpriv', '--reuid=ollama', '--regid=ollama', '--clear-groups', 'env', '-i', '-C', '/'],
      ...['PATH=/usr/bin:/bin', `HOME=${OLLAMA_HOME}`, ...settings, '/opt/ollama/current/bin/ollama', 'serve'],
    );
    this.processes.start('ollama.service', 'sh', ['-c', script, 'sh', program, ...args]);
    await until(
      'Ollama answers on the machine',
      60,
      async () => (await this.machine.run(['curl', '-fsS', `http://127.0.0.1:${port}/api/version`])).code === 0,
      () => this.tail(),
    );
  }

  async stopOllama(): Promise<void> {
    await this.processes.stop('ollama.service');
  }

  /** The last lines of Ollama's log. */
  tail(lines = 15): string {
    return this.processes.tail('ollama.service', lines);
  }

  /** Peak memory of Ollama and its runners, in bytes. */
  get peak(): number {
    return Number(fs.readFileSync(join(this.group, IS_V1 ? 'memory.max_usage_in_bytes' : 'memory.peak'), 'utf8'));
  }

  get limit(): number {
    return Number(fs.readFileSync(join(this.group, IS_V1 ? 'memory.limit_in_bytes' : 'memory.max'), 'utf8'));
  }

  /** Stops its processes. */
  async stop(): Promise<void> {
    await this.stopOllama();
    await this.processes.stop('sshd');
    fs.rmdirSync(this.group);
  }
}

/** Layers /etc, /home, /opt, /run and /usr/share over those of the test machine, with the files of the bootstrap and cloud-init. */
function rootScript(folder: string, homelab: Homelab): string {
  const name = homelab.llm!.machine;
  const init = parse(cloudInit(homelab, name).user);
  const write = (path: string, text: string) =>
    `mkdir -p ${path.replace(/\/[^/]*$/, '')}; cat >${path} <<'END'\n${text}\nEND`;
  const version = ollamaVersion(homelab);
  const key = join(folder, 'ssh_host_ed25519_key');
  if (!fs.existsSync(key)) execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key]);
  const layer = (path: string) => {
    const own = `${folder}/layers/${path.slice(1).replaceAll('/', '_')}`;
    return `mkdir -p ${own}/up ${own}/work; mount -t overlay overlay -o lowerdir=${path},upperdir=${own}/up,workdir=${own}/work ${path}`;
  };
  return [
    // The upper layer must not be on an overlay. In a container, /tmp is one.
    `mkdir -p ${folder}/layers; mount -t tmpfs tmpfs ${folder}/layers`,
    ...['/etc', '/usr/share'].map(layer),
    ...['/home', '/opt', '/run'].map((path) => `mount -t tmpfs -o mode=755 tmpfs ${path}`),
    'mkdir -p -m 1777 /run/lock; mkdir -p /run/sshd /run/ollama',
    // User ids that other users have on the test machine.
    "sed -i -E '/^[^:]*:[^:]*:(1000|990):/d' /etc/passwd /etc/group",
    `echo '${ADMIN}:x:1000:1000::/home/${ADMIN}:/bin/bash' >>/etc/passwd; echo '${ADMIN}:x:1000:' >>/etc/group; echo '${ADMIN}:*:19000:0:99999:7:::' >>/etc/shadow`,
    `echo 'ollama:x:990:990::${OLLAMA_HOME}:/bin/false' >>/etc/passwd; echo 'ollama:x:990:' >>/etc/group`,
    ...init.users.map(({ sudo }: { sudo: string }) => write('/etc/sudoers.d/90-cloud-init-users', `${ADMIN} ${sudo}`)),
    ...init.write_files.map(({ path, content }: { path: string; content: string }) => write(path, content)),
    write(
      '/etc/ssh/sshd_config',
      // PAM needs systemd.
      `Include /etc/ssh/sshd_config.d/*.conf\nHostKey ${key}\nUsePAM no\nPidFile none`,
    ),
    write(`/home/${ADMIN}/.ssh/authorized_keys`, authorizedKeys(homelab)),
    `chown -R 1000:1000 /home/${ADMIN}; chmod 700 /home/${ADMIN}/.ssh; chmod 600 /home/${ADMIN}/.ssh/authorized_keys`,
    `mkdir -p /opt/ollama/${version}/bin ${OLLAMA_HOME}; cp ${ollamaBinary()} /opt/ollama/${version}/bin/ollama; ln -s ${version} /opt/ollama/current`,
    `chown 990:990 ${OLLAMA_HOME} /run/ollama`,
    write(AI_VM_FILES.firewall, firewall(homelab, name).rules),
    `nft -f ${AI_VM_FILES.firewall}`,
  ].join('\n');
}
