import { createHash } from 'node:crypto';
import type { ListedSecret } from '../../values/secrets';
import { llmClients, type Homelab } from '../../inventory';
import { PROXY_FILES } from '../../machines/llm-proxy';
import type { Context } from '../clients/context';
import { ubuntuVm } from '../clients/ubuntu';
import { Blocked, isFault, NotReady } from '../engine/problem';
import { fileOn } from '../engine/remote-file';
import { SECRETS } from '../engine/sops';
import type { Step } from '../engine/step';
import { readersOf } from './readers';
import type { Kept, SecretStore } from './store';

export const PROXY_FACTS = ['active', 'enabled', 'mark', 'file', 'keys'] as const;

/** Those of some secrets that hold the key of a client of the models. */
export function llmKeySecrets(homelab: Homelab, declared: readonly ListedSecret[]): ListedSecret[] {
  const names = llmClients(homelab).map(({ secret }) => secret);
  return declared.filter(({ name }) => names.includes(name));
}

/** What must know a secret besides its readers: the proxy, of the key of a client. */
export function proxyOf(context: Context, store: SecretStore, secret: ListedSecret): Step | undefined {
  return llmKeySecrets(context.homelab, [secret]).length > 0 ? proxyKeys(context, store) : undefined;
}

/**
 * The proxy has the keys of its clients as the encrypted file has them, and none besides; of a key that is being replaced, both.
 * A running proxy takes them at once, and ends no connection.
 */
export function proxyKeys(context: Context, store: SecretStore): Step {
  const { homelab } = context;
  const vm = ubuntuVm(context, homelab.llm!.machine);
  return {
    title: `the proxy on ${vm.name} knows the keys of its clients`,
    async plan() {
      const kept = await store.read();
      const without = llmKeySecrets(homelab, store.declared).filter((secret) => keysOf(kept, secret.name).length === 0);
      // A plan with the keys of some would not be what is carried out once all are made.
      if (without.length > 0)
        throw new NotReady(
          `clients of the models must have keys in ${SECRETS.cluster}, but these have none: ${without.map(({ name }) => name).join(', ')}`,
        );
      const content = clientsFile(homelab, kept);
      const { file, keys } = await vm.facts('llm-proxy.sh', ['state'], PROXY_FACTS);
      const wanted = sha256(content);
      // A proxy that does not run reads the file when it starts.
      if (file === wanted && ['', wanted].includes(keys)) return undefined;
      const there = { path: PROXY_FILES.clients, content, mode: '0600' };
      return {
        lines: [`SHA-256 of the keys of: ${clientsIn(content).join(', ') || 'no client yet'}`],
        actions: [fileOn(vm.commands, vm.target, there), vm.script('llm-proxy.sh', ['keys'])],
      };
    },
  };
}

/** Digests of keys, sorted as llm-proxy.sh sorts what runs. */
function clientsFile(homelab: Homelab, kept: Kept): string {
  const lines = llmClients(homelab).flatMap(({ name, secret }) =>
    keysOf(kept, secret).map((key) => `${sha256(key)} ${name}\n`),
  );
  return [...new Set(lines)].sort().join('');
}

function keysOf({ secrets, previous }: Kept, secret: string): string[] {
  return [secrets, previous]
    .flatMap((places) => Object.values(places).map((names) => names[secret]?.['api-key']))
    .filter((key) => key !== undefined);
}

function clientsIn(file: string): string[] {
  return [...new Set(file.split('\n').flatMap((line) => line.split(' ').slice(1)))].sort();
}

/**
 * Before the proxy starts for the first time: clients that run must have been told their keys.
 * @throws Blocked where one has not, or the cluster does not say
 */
export async function assertClientsHaveKeys({ homelab, kubernetes }: Context, store: SecretStore): Promise<void> {
  const without: string[] = [];
  for (const secret of llmKeySecrets(homelab, store.declared)) {
    for (const { kind, namespace, name } of readersOf(secret)) {
      if (kind === 'Job' || kind === 'CronJob') continue;
      const live = await kubernetes.get([kind.toLowerCase(), name, '-n', namespace]).catch((error: unknown) => {
        // No kubeconfig: there is no cluster, and so no client.
        if (error instanceof NotReady) return undefined;
        if (!isFault(error) || error instanceof Blocked) throw error;
        throw new Blocked(
          `the cluster does not answer whether clients of the models have their keys: ${error.message}`,
        );
      });
      if (live !== undefined && !JSON.stringify(live.spec?.template ?? {}).includes(`"${secret.name}"`))
        without.push(`${namespace}/${name}`);
    }
  }
  if (without.length === 0) return;
  throw new Blocked(
    `clients of the models must have their keys before the proxy asks for them (llm.gateway in homelab.ts), but these run without: ${without.join(', ')}. First:\n  npm run bootstrap -- apply secrets\n  git push\nWait until Argo CD has synced, then run this again`,
  );
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
