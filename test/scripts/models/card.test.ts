import { cardFiles, type Card } from '../../../scripts/models/card';
import { TRAINING } from '../../fixtures/training';

const card: Card = {
  exported: {
    name: 'writer',
    version: 3,
    source: {
      base: TRAINING.base,
      revision: TRAINING.revision,
      adapterDigest: TRAINING.adapterDigest,
      quantization: 'q4_K_M',
    },
    training: { ...TRAINING, adapter: '/Users/ada/homelab/.homelab/models/writer/train/adapters' },
    blobs: [
      { name: 'model.gguf', digest: `sha256:${'b'.repeat(64)}`, size: 2e9, file: '/Users/ada/.ollama/models/blobs/x' },
    ],
    wording: { template: '{{ .Prompt }}', system: '', parameters: {} },
    checks: [{ what: 'Ollama in f16 says what MLX says', good: true, saw: 'all of 41 tokens' }],
    versions: { ollama: 'v0.32.15' },
    made: '2026-11-28T12:00:00.000Z',
  },
  published: {
    machine: 'ai-vm',
    digest: 'c'.repeat(64),
    ollama: 'v0.32.15',
    at: '2026-11-28T13:00:00.000Z',
    evaluation: {
      answers: [
        {
          prompt: 'What | is\nthis?',
          expected: 'contains "documents"',
          answer: '![x](http://evil) <img> | row',
          good: true,
        },
      ],
      tokensPerSecond: 21.5,
      size: 3 * 2 ** 30,
      sizeVram: 3 * 2 ** 30,
    },
  },
};
const files = cardFiles(card);

test('a card shows where a version comes from, for programs and for people', () => {
  expect([...files.keys()]).toEqual(['card.json', 'card.md', 'loss.svg']);
  expect(JSON.parse(files.get('card.json')!)).toMatchObject({
    name: 'writer',
    version: 3,
    training: { revision: TRAINING.revision, data: TRAINING.data, best: { iteration: 100 } },
    export: { quantization: 'q4_K_M', files: [{ name: 'model.gguf', size: 2e9 }] },
  });
  for (const fact of [
    TRAINING.license,
    TRAINING.data.digest,
    '0.32.4',
    '3.500 before, 1.250 at iteration 100',
    '21.5 tokens/s',
  ])
    expect(files.get('card.md')).toContain(fact);
});

test('a card contains no path of this machine', () => {
  for (const text of files.values()) expect(text).not.toContain('/Users/');
});

test('any answer stays in one cell of the table', () => {
  const row = files
    .get('card.md')!
    .split('\n')
    .find((line) => line.includes('evil'))!;
  expect(row.match(/(?<!\\)\|/g)).toHaveLength(5);
  expect(row).not.toMatch(/(?<!\\)(!|\[|<)/);
});

test('the same version gives the same files', () => {
  expect(cardFiles(card)).toEqual(files);
});
