import { homelabApp } from '../../../charts';
import { servedName, type Homelab } from '../../../inventory';
import { render } from '../../../synth';
import { AiVm } from './ai-vm';
import { clientLibraries } from './binaries';
import { injected } from './injected';
import { Lan, type LanMachine } from './lan';
import { Mac } from './mac';
import { TestOllama } from './ollama';
import type { ModelPart, ModelSuite } from './suite';
import { BASE_ANSWER, PROMPT, PROMPT_HELD_BACK, SECOND_ANSWER, TUNED_ANSWER, type TinyArchitecture } from './tiny';

const MAC = '192.168.1.50/24';
const STRANGER = '192.168.1.77/24';

/**
 * Runs the real commands, from the data to a rollback. The Mac and the AI VM are network namespaces, with our firewall, sshd and
 * Ollama. A node of the cluster asks with the variables that connectTo sets. A stranger cannot connect.
 */
export const CHAIN: ModelPart = {
  name: 'chain',
  seconds: 150,
  run: (suite) => chain(suite, 'qwen2', ['q8_0', 'q4_K_M']),
};

/** The same with the other architecture, first without quantization. */
export const CHAIN_OF_LLAMA: ModelPart = {
  name: 'chain-llama',
  seconds: 150,
  run: (suite) => chain(suite, 'llama', ['f16', 'q4_K_M']),
};

type Quantization = 'f16' | 'q8_0' | 'q4_K_M';

/** Expected answers of a test model, in homelab.ts. */
const prompts = (answer: string) => [
  { prompt: PROMPT, exact: answer },
  { prompt: PROMPT_HELD_BACK, contains: answer.slice(0, 20) },
];

async function chain(
  suite: ModelSuite,
  architecture: TinyArchitecture,
  [first, second]: readonly [Quantization, Quantization],
): Promise<void> {
  const { tally, laps, processes } = suite;
  const lan = new Lan(MAC);
  const own = await TestOllama.start(processes, 'ollama-of-the-mac');
  const mac = new Mac(own.url);
  let vm: AiVm | undefined;
  try {
    await mac.declare('writer', architecture, TUNED_ANSWER, (model) => {
      model.prompts = prompts(TUNED_ANSWER);
      model.export = { quantization: first };
    });
    vm = await AiVm.start(lan, processes, mac.homelab);
    const { address } = mac.homelab.machines[mac.homelab.llm!.machine]!;
    const node = await lan.join(
      'node',
      `${mac.homelab.machines['talos-worker-02']!.address}/24`,
      hostsScript(processes.folder, address, mac.homelab.llm!.service),
    );
    const stranger = await lan.join('stranger', STRANGER);
    laps.lap('chain: the machines are up');
    const commands = new Owner(suite, mac);
    await commands.good('doctor');
    await commands.good('train', 'writer');
    await injected(suite, mac, 'writer');
    await commands.good('export', 'writer');
    await commands.good('publish', 'writer');
    await reached(suite, mac.homelab, address, { node, stranger });
    await served(suite, mac.homelab, node, TUNED_ANSWER, 'the first release');
    const again = await commands.good('publish', 'writer');
    tally.check('publishing it again finds nothing to do', /already/.test(again), again);
    await commands.good('status');

    await mac.declare('writer', architecture, SECOND_ANSWER, (model) => {
      model.prompts = prompts(SECOND_ANSWER);
      model.export = { quantization: second, tolerance: 0.5 };
    });
    await commands.good('train', 'writer');
    await commands.good('export', 'writer');
    await commands.good('publish', 'writer');
    await served(suite, mac.homelab, node, SECOND_ANSWER, 'the second release');
    const compared = await commands.good('compare', 'writer', 'v1', 'v2');
    tally.check(
      'compare shows both answers',
      [TUNED_ANSWER, SECOND_ANSWER].every((each) => compared.includes(each.slice(0, 12))),
      compared,
    );
    await commands.good('rollback', 'writer');
    await served(suite, mac.homelab, node, TUNED_ANSWER, 'the release before, after a rollback');
    const mebibytes = (bytes: number) => Math.round(bytes / 2 ** 20);
    tally.check('Ollama stayed within the memory of its machine', vm.peak < vm.limit, `${vm.peak}`);
    laps.lap(`chain: Ollama took at most ${mebibytes(vm.peak)} of ${mebibytes(vm.limit)} MiB`);
  } catch (error) {
    throw Object.assign(error as Error, { message: `${(error as Error).message}\n${vm?.tail() ?? ''}\n${own.tail()}` });
  } finally {
    await vm?.stop();
    await own.stop();
    lan.remove();
    mac.remove();
  }
}

/** Runs commands of the owner. Each of them must succeed. */
export class Owner {
  constructor(
    private readonly suite: ModelSuite,
    private readonly mac: Mac,
  ) {}

  /** @returns its output. @throws when it fails, because later checks would prove nothing */
  async good(...args: readonly string[]): Promise<string> {
    const { code, stdout, stderr, seconds } = await this.mac.run(...args);
    this.suite.laps.lap(`npm run models -- ${args.join(' ')}: ${seconds.toFixed(1)} s`);
    if (code !== 0) throw new Error(`npm run models -- ${args.join(' ')} ended with ${code}\n${stdout}\n${stderr}`);
    this.suite.tally.check(`${args.join(' ')} succeeds`, true);
    return stdout + stderr;
  }
}

/** Our firewall lets in the nodes of the cluster and the Mac, and nobody else. */
async function reached(
  { tally }: ModelSuite,
  homelab: Homelab,
  address: string,
  who: { node: LanMachine; stranger: LanMachine },
): Promise<void> {
  const asks = ['curl', '-fsS', '-m', '5', `http://${address}:${homelab.llm!.port}/api/version`];
  const [node, stranger] = await Promise.all([who.node.run(asks), who.stranger.run(asks)]);
  tally.check('a node of the cluster reaches Ollama', node.code === 0, node.stderr);
  tally.check(
    'a stranger on the network cannot reach Ollama',
    stranger.code === 28,
    `${stranger.code} ${stranger.stdout}`,
  );
  const logins = ['curl', '-sS', '-m', '5', `telnet://${address}:22`];
  const ssh = await who.node.run(logins);
  tally.check(
    'a node cannot reach sshd, which is open to the Mac only',
    ssh.code === 28 && !ssh.stdout.includes('SSH-'),
    ssh.stdout,
  );
}

/** Resolves the name of the Service to its endpoint, because there is no cluster DNS and no kube-proxy here. */
function hostsScript(folder: string, address: string, service: string): string {
  return `cp /etc/hosts ${folder}/hosts; echo '${address} ${service}' >>${folder}/hosts; mount --bind ${folder}/hosts /etc/hosts`;
}

/** Asks as a service on a node, with the variables of its Deployment. */
async function served(
  { tally, laps }: ModelSuite,
  homelab: Homelab,
  node: LanMachine,
  answer: string,
  what: string,
): Promise<void> {
  const env = environmentOf(homelab, 'assistant');
  const client = [process.execPath, `${__dirname}/clients/client.js`, PROMPT, '48'];
  const { stdout, stderr } = await node.run(client, { ...env, NODE_PATH: clientLibraries() }, 300);
  const answers = stdout === '' ? {} : JSON.parse(stdout);
  for (const call of ['openaiChat', 'openaiStream', 'nativeChat', 'nativeStream'])
    tally.check(
      `${what}: ${call} gives the trained answer`,
      answers[call]?.text === answer,
      JSON.stringify(answers[call]) + stderr,
    );
  for (const call of ['openaiStream', 'nativeStream'])
    tally.check(`${what}: ${call} streams`, answers[call]?.parts > 3, JSON.stringify(answers[call]));
  for (const call of ['openaiEmbeddings', 'nativeEmbeddings'])
    tally.check(
      `${what}: ${call} gives a vector for each text`,
      answers[call]?.sizes?.join() === '256,256',
      JSON.stringify(answers[call]),
    );
  const model = servedName('writer', homelab.llm!.models.writer!);
  tally.check(
    `${what}: clients send ${model}`,
    env.LLM_MODEL === model && answers.openaiModels?.names?.includes(model),
    JSON.stringify(answers.openaiModels),
  );
  tally.check(`${what}: the answer is not that of the base`, answer !== BASE_ANSWER);
  laps.lap(`chain: a client was served by ${what}`);
}

/** Variables of a service's Deployment, as the homelab renders it. */
function environmentOf(homelab: Homelab, service: string): Record<string, string> {
  const deployment: any = render(homelabApp(homelab)).find(
    ({ object }) => object.kind === 'Deployment' && object.metadata?.name === service,
  )!.object;
  const all = deployment.spec.template.spec.containers.flatMap(({ env = [] }: any) => env);
  return Object.fromEntries(
    all.filter(({ name }: any) => name.startsWith('LLM_')).map(({ name, value }: any) => [name, value]),
  );
}
