// Acts as a service in the cluster with the variables of connectTo. Uses the official client libraries of both APIs.
// Prints one JSON object with the answer of each call. Arguments: a prompt, and the most tokens of an answer.
const { Ollama } = require('ollama');
const { OpenAI } = require('openai');

const { LLM_BASE_URL, LLM_HOST, LLM_PORT, LLM_MODEL, LLM_API_KEY } = process.env;
const [prompt, limit] = process.argv.slice(2);
const messages = [{ role: 'user', content: prompt }];
const greedy = { temperature: 0, seed: 1 };
const seconds = 120;

const openai = new OpenAI({
  baseURL: LLM_BASE_URL,
  // The library requires a key; Ollama does not.
  apiKey: LLM_API_KEY ?? 'none',
  timeout: seconds * 1000,
  maxRetries: 0,
});
const native = new Ollama({
  host: `http://${LLM_HOST}:${LLM_PORT}`,
  ...(LLM_API_KEY && { headers: { Authorization: `Bearer ${LLM_API_KEY}` } }),
  fetch: (url, options = {}) => fetch(url, { ...options, signal: AbortSignal.timeout(seconds * 1000) }),
});

const calls = {
  async openaiChat() {
    const asked = { model: LLM_MODEL, messages, max_tokens: Number(limit), ...greedy };
    const { choices, usage } = await openai.chat.completions.create(asked);
    return { text: choices[0].message.content, tokens: usage.completion_tokens };
  },
  async openaiStream() {
    const asked = { model: LLM_MODEL, messages, max_tokens: Number(limit), stream: true, ...greedy };
    const parts = [];
    for await (const { choices } of await openai.chat.completions.create(asked)) parts.push(choices[0].delta.content);
    return { text: parts.join(''), parts: parts.filter(Boolean).length };
  },
  async openaiModels() {
    const names = [];
    for await (const { id } of openai.models.list()) names.push(id);
    return { names };
  },
  async openaiEmbeddings() {
    // Without encoding_format the library requests base64, gets numbers, and decodes them to a wrong vector of a quarter of the size.
    const asked = { model: LLM_MODEL, input: [prompt, 'another'], encoding_format: 'float' };
    const { data } = await openai.embeddings.create(asked);
    return { sizes: data.map(({ embedding }) => embedding.length) };
  },
  async nativeChat() {
    const { message } = await native.chat({
      model: LLM_MODEL,
      messages,
      options: { ...greedy, num_predict: Number(limit) },
    });
    return { text: message.content };
  },
  async nativeStream() {
    const parts = [];
    const asked = { model: LLM_MODEL, messages, stream: true, options: { ...greedy, num_predict: Number(limit) } };
    for await (const { message } of await native.chat(asked)) parts.push(message.content);
    return { text: parts.join(''), parts: parts.filter(Boolean).length };
  },
  async nativeEmbeddings() {
    const { embeddings } = await native.embed({ model: LLM_MODEL, input: [prompt, 'another'] });
    return { sizes: embeddings.map((each) => each.length) };
  },
};

async function main() {
  const answers = {};
  for (const [name, call] of Object.entries(calls))
    answers[name] = await call().catch((error) => ({ error: `${error.name}: ${error.message}` }));
  console.log(JSON.stringify(answers));
}

main();
