import * as http from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { proxyConfig } from '../../../machines/llm-proxy';
import type { Tally } from '../tally';
import { ALL_KEYS, EMBEDDINGS, KEYS, says, withGateway, type Answer, type RunningProxy } from './running-proxy';
import type { StreamingServer } from './streaming-server';

/** Changes keys, the configuration and Ollama while clients send requests. */

/** Sends requests without a pause, over kept connections, until it is stopped. */
function load(proxy: RunningProxy, key: () => string) {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 4 });
  const failed: string[] = [];
  let count = 0;
  let ends = false;
  const one = async () => {
    while (!ends) {
      const body = says({ words: 3, gap: 5 });
      const answer = await proxy.ask('/api/chat', { key: key(), body, agent }).catch((error: Error) => error);
      count++;
      if (answer instanceof Error) failed.push(answer.message);
      else if (answer.status !== 200 || answer.text.split('\n').length !== 4)
        failed.push(`${answer.status} ${answer.text}`);
    }
  };
  const all = [one(), one(), one(), one()];
  return async () => {
    ends = true;
    await Promise.all(all);
    agent.destroy();
    return { count, failed };
  };
}

export async function rotation(tally: Tally, proxy: RunningProxy): Promise<void> {
  let key: string = KEYS.assistant;
  const end = load(proxy, () => key);
  await sleep(500);
  proxy.writeKeys({ ...ALL_KEYS, assistant: [KEYS.assistant, 'new'] });
  proxy.script('keys');
  await sleep(300);
  key = 'new';
  await sleep(500);
  proxy.writeKeys({ ...ALL_KEYS, assistant: ['new'] });
  proxy.script('keys');
  await sleep(300);
  const { count, failed } = await end();
  tally.check(
    `a rotation loses none of ${count} requests`,
    failed.length === 0 && count > 8,
    failed.slice(0, 3).join('\n'),
  );
  const old = await proxy.ask('/api/tags', { key: KEYS.assistant });
  tally.check('the old key is rejected: 401', old.status === 401, `${old.status}`);
  const state = proxy.script('state');
  const [file, keys] = ['file', 'keys'].map((name) => new RegExp(`^${name}=(\\w+)$`, 'm').exec(state)?.[1]);
  tally.check('the running keys are equal to the file', file !== undefined && file === keys, state);
  proxy.writeKeys({});
  proxy.script('keys');
  tally.check('without keys every request is rejected', (await proxy.ask('/api/tags', { key: 'new' })).status === 401);
}

export async function reload(tally: Tally, proxy: RunningProxy): Promise<void> {
  const end = load(proxy, () => KEYS.assistant);
  const long = proxy.ask('/api/generate', { key: KEYS.search, body: says({ model: EMBEDDINGS, words: 20, gap: 100 }) });
  await sleep(500);
  const other = withGateway({ perMinute: 99_999 });
  proxy.writeConfig(other);
  proxy.reload();
  const isNew = async () => proxy.script('state').includes(`mark=${proxyConfig(other).mark}`);
  await proxy.until('the new configuration runs', isNew, 10);
  await sleep(500);
  const { count, failed } = await end();
  tally.check(
    `a new configuration loses none of ${count} requests`,
    failed.length === 0,
    failed.slice(0, 3).join('\n'),
  );
  const answer: Answer = await long;
  tally.check('an answer that had started is completed', answer.text.split('\n').length === 21, answer.text);
}

export async function restarts(tally: Tally, proxy: RunningProxy, ollama: StreamingServer): Promise<void> {
  await ollama.stop();
  const down = await proxy.ask('/api/chat', { key: KEYS.assistant, body: says() });
  tally.check(
    'without Ollama: 503, as JSON',
    down.status === 503 && 'error' in JSON.parse(down.text),
    `${down.status} ${down.text}`,
  );
  await ollama.start();
  const begin = Date.now();
  await proxy.until(
    'Ollama answers again',
    async () => (await proxy.ask('/api/chat', { key: KEYS.assistant, body: says() })).status === 200,
    10,
  );
  tally.check('the proxy uses a restarted Ollama within 6 s', Date.now() - begin < 6000, `${Date.now() - begin} ms`);
}
