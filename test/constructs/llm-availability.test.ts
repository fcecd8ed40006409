import { execFile } from 'node:child_process';
import { once } from 'node:events';
import * as http from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { ExternalLlmService, LlmAvailability, LlmEndpoint } from '../../constructs';
import { python3, pythonTest } from './python';
import { chartIn, objectOf } from './render';

const models = { chat: { tag: 'a:1' }, embeddings: { tag: 'b:2' } };

function rendered(more: Partial<ConstructorParameters<typeof LlmAvailability>[2]> = {}) {
  const chart = chartIn('services');
  const endpoint = LlmEndpoint.endpointSlice({ address: '192.168.1.30' });
  const llm = new ExternalLlmService(chart, 'llm-service', { endpoint, models, apiKey: 'per-client' });
  new LlmAvailability(chart, 'availability', { llm, ...more });
  return chart;
}

test('a CronJob asks with a key of its own, reaches the endpoint alone, and holds no rights', () => {
  const { spec } = objectOf(rendered({ everyMinutes: 30, models: ['chat'] }), 'CronJob');
  const pod = spec.jobTemplate.spec.template.spec;
  expect([spec.schedule, spec.concurrencyPolicy]).toEqual(['*/30 * * * *', 'Forbid']);
  expect(pod.automountServiceAccountToken).toBe(false);
  expect(pod.containers[0].securityContext).toMatchObject({ readOnlyRootFilesystem: true });
  expect(pod.containers[0].env).toEqual([
    { name: 'URL', value: 'http://llm-service:11434' },
    { name: 'MODELS', value: 'a:1' },
    { name: 'TIMEOUT', value: '120' },
    { name: 'API_KEY', valueFrom: { secretKeyRef: { name: 'llm-service-availability', key: 'api-key' } } },
  ]);
  const egress = JSON.stringify(objectOf(rendered(), 'NetworkPolicy').spec.egress);
  expect(egress.match(/\d+\.\d+\.\d+\.\d+\/\d+/g)).toEqual(['192.168.1.30/32']);
});

test('every hour is a schedule of its own; 7 minutes and an unknown model are refused', () => {
  expect(objectOf(rendered({ everyMinutes: 60 }), 'CronJob').spec.schedule).toBe('0 * * * *');
  expect(() => rendered({ everyMinutes: 7 })).toThrow('everyMinutes must divide an hour, got 7');
  expect(() => rendered({ models: ['other'] })).toThrow('must connect to a declared model, got "other"');
});

describe('the script', () => {
  const asked: [path: string, key: string | undefined, model: string][] = [];
  const server = http.createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    const { model } = JSON.parse(body);
    asked.push([request.url!, request.headers.authorization, model]);
    if (model === 'gone:1') return void response.writeHead(404).end('{"error":"model not found"}');
    if (request.url === '/v1/embeddings') return void response.end('{"data":[{"embedding":[0.5]}]}');
    if (model === 'b:2') return void response.writeHead(400).end('{"error":"\\"b:2\\" does not support chat"}');
    response.write(': comment\n\n');
    setTimeout(() => response.end('data: {"choices":[{"delta":{"content":"yes"}}]}\n\ndata: [DONE]\n\n'), 300);
  });
  let url: string;
  beforeAll(async () => {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(() => server.close());

  const run = (wanted: string) =>
    new Promise<{ code: number; said: string }>((resolve) => {
      const env = { ...process.env, URL: url, MODELS: wanted, TIMEOUT: '10', API_KEY: 'key-1' };
      const file = join(__dirname, '..', '..', 'constructs', 'files', 'llm-availability.py');
      const child = execFile(python3, [file], { env, timeout: 30_000 }, (_, stdout) =>
        resolve({ code: child.exitCode ?? -1, said: stdout }),
      );
    });

  pythonTest('says how long the first word took, also of a model that only embeds', async () => {
    const { code, said } = await run('a:1 b:2');
    expect(code).toBe(0);
    const [first, second] = said.trim().split('\n');
    expect(Number(/^model=a:1 answers=yes first_word_seconds=([\d.]+)$/.exec(first!)?.[1])).toBeGreaterThanOrEqual(0.3);
    expect(second).toMatch(/^model=b:2 answers=yes first_word_seconds=\d+\.\d{3}$/);
    expect(asked).toContainEqual(['/v1/embeddings', 'Bearer key-1', 'b:2']);
  });

  pythonTest('fails when a model does not answer, and asks the others all the same', async () => {
    const { code, said } = await run('gone:1 a:1');
    expect(code).toBe(1);
    expect(said).toMatch(/^model=gone:1 answers=no why="status 404: .*not found.*"\nmodel=a:1 answers=yes/);
  });
});
