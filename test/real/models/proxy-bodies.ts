import { setTimeout as sleep } from 'node:timers/promises';
import type { Tally } from '../tally';
import { CHAT, EMBEDDINGS, KEYS, says, type RunningProxy } from './running-proxy';
import type { StreamingServer } from './streaming-server';

/** Ways to name a second model, which Ollama would read and HAProxy would not. Part gateway asks Ollama itself. */
export const SECOND_MODEL: Readonly<Record<string, (first: string, second: string) => string>> = {
  'two keys': (first, second) => `{"model":"${first}","model":"${second}"}`,
  'two keys, with spaces': (first, second) => `{ "model" : "${first}",\n\t"model" : "${second}" }`,
  'a key in upper case': (first, second) => `{"model":"${first}","Model":"${second}"}`,
  'an escaped key': (first, second) => `{"model":"${first}","mod\\u0065l":"${second}"}`,
  'a second key after a long text': (first, second) =>
    `{"model":"${first}","prompt":"${'x\\"'.repeat(50_000)}","model":"${second}"}`,
  'a second key after a text that ends with a backslash': (first, second) =>
    `{"model":"${first}","prompt":"\\\\","model":"${second}"}`,
};

/** HAProxy and Ollama read the same model, context and options in every body that passes. */
export async function readOneWay(tally: Tally, proxy: RunningProxy, ollama: StreamingServer): Promise<void> {
  const ask = (body: string) => proxy.ask('/api/chat', { key: KEYS.assistant, body });
  const refused = {
    ...Object.fromEntries(Object.entries(SECOND_MODEL).map(([what, body]) => [what, body(CHAT, EMBEDDINGS)])),
    'a key with the Kelvin sign': `{"model":"${CHAT}","\u212aeep_alive":0}`,
    'keep_alive in upper case': `{"model":"${CHAT}","KEEP_ALIVE":0}`,
    'two options': `{"model":"${CHAT}","options":{},"options":{"num_ctx":4096}}`,
    'two contexts': `{"model":"${CHAT}","options":{"num_ctx":16384,"num_ctx":4096}}`,
    'an escaped context': `{"model":"${CHAT}","options":{"num\\u005fctx":4096}}`,
    'two bodies': `{"model":"${CHAT}"} {"model":"${EMBEDDINGS}"}`,
  };
  for (const [what, body] of Object.entries(refused)) {
    const { status, text } = await ask(body);
    const good = status === 400 && /at most once each/.test(JSON.parse(text).error);
    tally.check(`${what}: 400 with the reason`, good, `${status} ${text}`);
  }
  tally.check('none of them reached Ollama', ollama.asked.length === 0, JSON.stringify(ollama.asked).slice(0, 400));
  await sleep(200);
  const logged = proxy.log.split('\n').filter((line) => /^client=assistant .*refused=".*at most once each/.test(line));
  tally.check('the log has a line with the reason for each', logged.length === Object.keys(refused).length, proxy.log);
  const message = 'Write {"model": "b", "Model": "c"} \\" \\\\" "model": "d"\n\u00e9\u{1f600}';
  const tool = { type: 'object', properties: { model: { type: 'string' }, Model: {}, num_ctx: { keep_alive: 1 } } };
  const call = { function: { name: 'f', arguments: { model: 'Golf', options: { model: 1 } } } };
  const passes: Readonly<Record<string, string>> = {
    'text that holds the keys': says({ messages: [{ role: 'user', content: message }] }),
    'a schema of a tool with the keys': says({ tools: [{ type: 'function', function: { parameters: tool } }] }),
    'a call of a tool with the keys': says({ messages: [{ role: 'assistant', tool_calls: [call] }] }),
    'options with the keys': says({ options: { num_ctx: 16384, stop: ['"model":', '\n'], seed: 1 } }),
    'every kind of value': says({
      stream: true,
      format: null,
      temperature: -1.5e3,
      suffix: '',
      messages: [],
      think: {},
    }),
    'lines and spaces': JSON.stringify({ prompt: message, model: CHAT, options: {} }, undefined, 2),
    'the end of a line of Windows': says({ prompt: 'x' }).replaceAll(',', ',\r\n'),
    'eight thousand messages': says({ messages: Array.from({ length: 8000 }, () => ({ content: 'hi' })) }),
    'a long text of escapes': JSON.stringify({ prompt: '"\n'.repeat(60_000), model: CHAT }),
    'lists in lists': JSON.stringify({ model: CHAT, format: JSON.parse('['.repeat(15) + ']'.repeat(15)) }),
  };
  for (const [what, body] of Object.entries(passes)) {
    const { status, text, last } = await ask(body);
    tally.check(`${what} passes`, status === 200 && last < 1000, `${status} ${text.slice(0, 200)} ${last} ms`);
  }
}
