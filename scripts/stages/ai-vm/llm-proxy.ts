import type { Homelab } from '../../../inventory';
import { PROXY_FILES, proxyConfig } from '../../../machines/llm-proxy';
import type { Context } from '../../clients/context';
import type { UbuntuVm } from '../../clients/ubuntu';
import { action } from '../../engine/actions';
import { NotReady, Problem } from '../../engine/problem';
import { remoteFile } from '../../engine/remote-file';
import type { Step } from '../../engine/step';
import { until } from '../../engine/wait';
import { assertClientsHaveKeys, llmKeySecrets, PROXY_FACTS, proxyKeys } from '../../secrets/llm-keys';
import { SecretMaker } from '../../secrets/made';
import { SecretStore } from '../../secrets/store';
import { keptValues } from '../secrets';

/** Files and keys of the proxy: before Ollama leaves the address that the proxy takes. */
export function proxyFiles(context: Context, vm: UbuntuVm): Step[] {
  const { homelab, sops, ask } = context;
  const { commands, target } = vm;
  const content = proxyConfig(homelab).text;
  const store = new SecretStore(sops);
  const maker = new SecretMaker(homelab, sops, ask);
  return [
    clientsHaveKeys(context, vm, store),
    keptValues(store, maker, () => undefined, llmKeySecrets(homelab, store.declared)),
    proxyKeys(context, store),
    withPackage(vm, remoteFile(commands, target, { path: PROXY_FILES.config, content })),
  ];
}

/** The package brings a configuration of its own: whether ours is the first can be seen once it is there. */
function withPackage({ commands, name, target }: UbuntuVm, step: Step): Step {
  return {
    ...step,
    async plan() {
      // 1: it is unknown.
      const argv = ['dpkg-query', '-W', '-f', '${db:Status-Status}\\n', 'haproxy'];
      const { stdout } = await commands.read(target, argv, { accepts: [0, 1] });
      if (stdout.trim() !== 'installed') throw new NotReady(`haproxy has not been installed on ${name} yet`);
      return step.plan();
    },
  };
}

function clientsHaveKeys(context: Context, vm: UbuntuVm, store: SecretStore): Step {
  return {
    title: 'clients of the models have their keys',
    async plan() {
      // Where socat is not installed yet, no proxy runs.
      const { mark } = await vm.facts('llm-proxy.sh', ['state'], PROXY_FACTS);
      if (mark === '') await assertClientsHaveKeys(context, store);
      return undefined;
    },
  };
}

/** It runs with the rendered configuration: otherwise it is started or reloaded. */
export function proxyRuns(homelab: Homelab, vm: UbuntuVm): Step {
  const { mark } = proxyConfig(homelab);
  const facts = () => vm.facts('llm-proxy.sh', ['state'], PROXY_FACTS);
  const runs = action(`wait for the proxy to run with ${mark}`, (progress) =>
    until('the proxy to run', { seconds: 30 }, progress, async () => {
      const there = await facts();
      if (there.mark !== mark) throw new Problem(`it runs with ${there.mark || 'nothing of ours'}, not ${mark}`);
      return true;
    }),
  );
  return {
    title: `the proxy in front of Ollama runs with its configuration`,
    async plan() {
      const there = await facts();
      if (there.active === 'active' && there.enabled === 'enabled' && there.mark === mark) return undefined;
      return {
        lines: [`configuration: ${there.mark || 'none'} -> ${mark}`],
        actions: [vm.script('llm-proxy.sh', ['start']), runs],
      };
    },
  };
}

/** Without llm.gateway: Ollama takes the port on all addresses again, so the proxy goes first. */
export function noProxy(vm: UbuntuVm): Step {
  const { commands, target } = vm;
  return {
    title: 'no proxy in front of Ollama',
    async plan() {
      const { code } = await commands.read(target, ['test', '-e', PROXY_FILES.clients], { accepts: [0, 1] });
      return code === 1 ? undefined : { actions: [vm.script('llm-proxy.sh', ['stop'])] };
    },
  };
}
