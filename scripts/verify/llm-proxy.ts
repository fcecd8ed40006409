import { llmClients } from '../../inventory';
import { METRICS_PORT, proxyConfig } from '../../machines/llm-proxy';
import type { Context } from '../clients/context';
import { ubuntuVm, type UbuntuVm } from '../clients/ubuntu';
import { bad, good, type Check, type Finding } from '../engine/findings';
import { PROXY_FACTS, proxyKeys } from '../secrets/llm-keys';
import { SecretStore } from '../secrets/store';
import { LLM_CHECKS } from '../../values/llm-keys';

const APPLY = 'npm run bootstrap -- apply ai-vm';

/** What the proxy in front of Ollama lets through, asked as a client asks it; and how many wait. */
export function proxyCheck(context: Context): Check {
  return async () => {
    const { homelab } = context;
    const vm = ubuntuVm(context, homelab.llm!.machine);
    const { mark } = proxyConfig(homelab);
    const what = `the proxy in front of Ollama on ${vm.name}`;
    const there = await vm.facts('llm-proxy.sh', ['state'], PROXY_FACTS);
    if (there.active !== 'active' || there.mark !== mark)
      return [bad(what, `${there.active}, with configuration ${there.mark || 'none'}, wanted ${mark}`, APPLY)];
    return [good(what, `runs with configuration ${mark}`), ...(await lookThrough(context, vm))];
  };
}

async function lookThrough(context: Context, vm: UbuntuVm): Promise<Finding[]> {
  const { homelab } = context;
  const store = new SecretStore(context.sops);
  const clients = llmClients(homelab);
  const keys = await proxyKeys(context, store).plan();
  const { secrets } = await store.read();
  const { secret } = clients.find(({ name }) => name === LLM_CHECKS.proof)!;
  const key = Object.values(secrets).find((names) => names[secret] !== undefined)?.[secret]?.['api-key'];
  const base = `http://${vm.machine.address}:${homelab.llm!.port}`;
  const cases: [what: string, url: string, method: string, key: string | undefined, wanted: string][] = [
    ['a request without a key is refused', '/api/tags', 'GET', undefined, '401'],
    ['a request with a key passes', '/api/version', 'GET', key, '200'],
    ['a key deletes no model', '/api/delete', 'DELETE', key, '403'],
  ];
  const found = [
    keys === undefined
      ? good('keys of the proxy', `those of ${clients.length} clients`)
      : bad('keys of the proxy', 'they differ from secrets.sops.yaml', APPLY),
  ];
  for (const [what, path, method, keyOfProof, wanted] of cases) {
    const status = await statusOf(vm, `${base}${path}`, method, keyOfProof);
    found.push(
      status === wanted ? good(what, `status ${status}`) : bad(what, `status ${status}, wanted ${wanted}`, APPLY),
    );
  }
  return [...found, await queues(vm)];
}

/** The key goes by standard input, as curl's configuration. */
async function statusOf(vm: UbuntuVm, url: string, method: string, key: string | undefined): Promise<string> {
  const lines = [
    `url = "${url}"`,
    `request = "${method}"`,
    ...(key ? [`header = "Authorization: Bearer ${key}"`] : []),
  ];
  const argv = [
    'curl',
    '-sS',
    '--noproxy',
    '*',
    '--max-time',
    '15',
    '-o',
    '/dev/null',
    '-w',
    '%{http_code}',
    '-K',
    '-',
  ];
  // 7, 28, 52, 56: no listener, no answer in time, none at all, or half of one.
  const { stdout } = await vm.commands.read(vm.target, argv, {
    stdin: `${lines.join('\n')}\n`,
    accepts: [0, 7, 28, 52, 56],
  });
  return stdout.trim();
}

async function queues(vm: UbuntuVm): Promise<Finding> {
  const { stdout } = await vm.commands.read(vm.target, [
    ...['curl', '-sS', '--noproxy', '*', '--max-time', '15', `http://127.0.0.1:${METRICS_PORT}/metrics`],
  ]);
  const lengths = [...stdout.matchAll(/^haproxy_backend_current_queue\{proxy="model-([^"]+)"\} (\d+)/gm)];
  const saw = lengths.map(([, model, length]) => `${model} ${length}`).join(', ');
  return lengths.length > 0
    ? good('requests that wait', saw)
    : bad('requests that wait', 'the proxy has no metric for it', APPLY);
}
