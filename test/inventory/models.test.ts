import { Size } from 'cdk8s';
import { defineHomelab, isTuned, knownArchitecture, servedName, type Homelab } from '../../inventory';
import { changed, refusal } from '../homelab';

const writer = (change: (writer: any) => void) => (h: any) => change(h.llm.models.writer);
const mac = { kind: 'mac', model: 'Mac Studio', memory: Size.gibibytes(64), address: '192.168.1.51' };

/** What an owner may get wrong in a model, and the sentence that says what to do. */
const broken: [string, (homelab: any) => void, string][] = [
  [
    'a client that does not exist',
    writer((w) => (w.usedBy = ['assistent'])),
    'llm.models.writer.usedBy[0] must be a service or web app of this homelab, got "assistent" (allowed: gateway, ',
  ],
  ['a misspelt client', writer((w) => (w.usedBy = ['assistent'])), 'did you mean assistant?'],
  [
    'a client twice',
    writer((w) => (w.usedBy = ['assistant', 'assistant'])),
    'llm.models.writer.usedBy[1] must be used once, got "assistant"; remove one of the two',
  ],
  [
    'a connection of a service that may not use the model',
    (h) => h.services.documents.connects.push({ model: 'writer' }),
    'services.documents.connects[2].model must be a model whose usedBy names documents, got "writer" (allowed: chat, embeddings); add \'documents\' to llm.models.writer.usedBy, or remove the connection',
  ],
  [
    'a model that nobody may use and somebody does',
    writer((w) => (w.usedBy = [])),
    'services.assistant.connects[3].model must be a model whose usedBy names assistant, got "writer"',
  ],
  [
    'a pulled model under the stable name of a trained one',
    (h) => (h.llm.models.chat.stable = 'writer:stable'),
    'llm.models.writer must be a name of its own on Ollama, got "writer:stable, which llm.models.chat.stable has"',
  ],
  [
    'a stable name that differs by case alone',
    (h) => (h.llm.models.chat.stable = 'Writer:Stable'),
    'llm.models.writer must be a name of its own on Ollama',
  ],
  [
    'a tag twice',
    (h) => (h.llm.models.other = { ...h.llm.models.embeddings }),
    'llm.models.other.tag must be a name of its own on Ollama, got "nomic-embed-text:v1.5, which llm.models.embeddings.tag has"',
  ],
  [
    'a stable name that is the tag of another model',
    writer((w) => (w.stable = 'nomic-embed-text:v1.5')),
    'llm.models.writer.stable must be a name of its own on Ollama',
  ],
  [
    'a stable name that is a version',
    (h) => (h.llm.models.chat.stable = 'writer:v3'),
    'llm.models.chat.stable must not be a name of a version of llm.models.writer, got "writer:v3"; choose another name, such as writer:stable',
  ],
  [
    'a stable name that is a version of its own',
    writer((w) => (w.stable = 'writer:v1')),
    'llm.models.writer.stable must not be a name of a version of llm.models.writer',
  ],
  [
    'a stable name that moves',
    writer((w) => (w.stable = 'writer:latest')),
    'llm.models.writer.stable must be a model with an exact tag, never latest',
  ],
  [
    'a training on a host that is no Mac',
    writer((w) => (w.training.host = 'proxmox')),
    'llm.models.writer.training.host must be a Mac of this homelab, got "proxmox" (allowed: mac); name the Mac that trains',
  ],
  [
    'a training without a Mac',
    (h) => delete h.hosts.mac,
    'llm.models.writer.training.host must be a Mac of this homelab: there is not exactly one, got nothing (allowed: none exists); add a Mac to hosts',
  ],
  [
    'a training on one of two Macs, without saying which',
    (h) => (h.hosts.studio = mac),
    'llm.models.writer.training.host must be a Mac of this homelab: there is not exactly one, got nothing (allowed: mac, studio); name the Mac that trains',
  ],
  [
    'a branch for a revision',
    writer((w) => (w.base.revision = 'main')),
    'llm.models.writer.base.revision must be a commit of 40 digits, or the digest of a folder',
  ],
  [
    'a digest for a repository',
    writer((w) => (w.base.revision = `sha256:${'0'.repeat(64)}`)),
    'llm.models.writer.base.revision must be a commit of the repository, got "sha256:00',
  ],
  [
    'a commit for a folder',
    writer((w) => (w.base.repository = './models/base')),
    'llm.models.writer.base.revision must be the digest of the folder, got "00',
  ],
  [
    'a URL for a repository',
    writer((w) => (w.base.repository = 'https://huggingface.co/mlx-community/x')),
    'llm.models.writer.base.repository must be a repository of Hugging Face or a folder',
  ],
  [
    'no licence',
    writer((w) => delete w.base.license),
    'llm.models.writer.base.license must be text on one line, but it',
  ],
  [
    'a rank of a full training',
    writer((w) => Object.assign(w.training, { kind: 'full', rank: 8 })),
    "llm.models.writer.training.rank must be left out for kind: 'full', which trains no adapter, got 8",
  ],
  ['an unknown kind of training', writer((w) => (w.training.kind = 'dora')), 'training.kind must be one of lora, full'],
  ['a rank of zero', writer((w) => (w.training.rank = 0)), 'training.rank must be a whole number from 1 to 512, got 0'],
  ['a scale of zero', writer((w) => (w.training.scale = 0)), 'training.scale must be'],
  ['a learning rate of one thousand', writer((w) => (w.training.learningRate = 1e3)), 'training.learningRate must be'],
  ['no iterations', writer((w) => (w.training.iterations = 0)), 'training.iterations must be a whole number'],
  ['a fraction of a batch', writer((w) => (w.training.batch = 1.5)), 'training.batch must be a whole number'],
  [
    'data outside of the repository',
    writer((w) => (w.training.data = '../data')),
    'training.data must be a folder below',
  ],
  [
    'data without its digest',
    writer((w) => delete w.training.digest),
    'training.digest must be a digest, but it is missing',
  ],
  ['a short digest', writer((w) => (w.training.digest = 'sha256:ab')), 'training.digest must be a digest'],
  ['an unknown quantization', writer((w) => (w.export.quantization = 'q3_K')), 'one of f16, q8_0, q4_K_M, got "q3_K"'],
  [
    'a tolerance of f16',
    writer((w) => (w.export = { quantization: 'f16', tolerance: 0.9 })),
    'llm.models.writer.export.tolerance must be left out for f16, whose answers must be equal, got 0.9',
  ],
  ['a tolerance in percent', writer((w) => (w.export.tolerance = 80)), 'llm.models.writer.export.tolerance must be'],
  [
    'no prompts of a trained model',
    writer((w) => (w.prompts = [])),
    'llm.models.writer.prompts must hold at least one prompt: an export is compared with the training on them',
  ],
  [
    'a prompt without an expectation',
    writer((w) => (w.prompts = [{ prompt: 'Hello' }])),
    'llm.models.writer.prompts[0] must be of a known kind',
  ],
  [
    'a similarity without a tolerance',
    writer((w) => (w.prompts = [{ prompt: 'Hello', similarTo: 'Good morning' }])),
    'llm.models.writer.prompts[0].tolerance must be',
  ],
  [
    'two expectations of a prompt',
    writer((w) => (w.prompts = [{ prompt: 'Hello', exact: 'Hi', contains: 'H' }])),
    'llm.models.writer.prompts[0].contains must be a known property',
  ],
  [
    'a prompt that is not refused',
    writer((w) => (w.prompts = [{ prompt: 'Hello', refuses: false }])),
    'llm.models.writer.prompts[0].refuses must be',
  ],
  ['no versions that stay', writer((w) => (w.keep = 0)), 'llm.models.writer.keep must be a whole number from 1 to 100'],
  ['no context', writer((w) => delete w.context), 'llm.models.writer.context must be a whole number from 512'],
  ['neither tag nor base', writer((w) => delete w.base), 'llm.models.writer must be of a known kind'],
  [
    'a training of a pulled model',
    (h) => (h.llm.models.chat.training = {}),
    'llm.models.chat.training must be a known',
  ],
  ['parallel requests of zero', (h) => (h.llm.parallel = 0), 'llm.parallel must be a whole number from 1 to 64, got 0'],
  ['an unknown cache', (h) => (h.llm.kvCache = 'q5_0'), 'llm.kvCache must be one of f16, q8_0, q4_0, got "q5_0"'],
  [
    'an architecture without its heads',
    writer((w) => (w.architecture = { parameters: 1e9 })),
    'llm.models.writer.architecture.kvHeads must be a whole number',
  ],
];

test.each(broken)('rejects %s', (_name, breakIt, message) => {
  expect(refusal(breakIt)).toContain(message);
});

test('clients send the tag, the stable name, or NAME:stable', () => {
  const { llm } = defineHomelab(changed((h) => (h.llm.models.chat.stable = 'chat:stable')) as Homelab);
  expect(Object.entries(llm!.models).map(([name, model]) => servedName(name, model))).toEqual([
    'chat:stable',
    'nomic-embed-text:v1.5',
    'writer:stable',
  ]);
});

test('accepts a full training of a folder on a named Mac', () => {
  const homelab = changed((h) => {
    h.hosts.studio = mac;
    h.llm.models.writer.base.repository = './models/base';
    h.llm.models.writer.base.revision = `sha256:${'1'.repeat(64)}`;
    h.llm.models.writer.training = { ...h.llm.models.writer.training, kind: 'full', host: 'studio' };
    h.llm.models.writer.architecture = { ...knownArchitecture('qwen2.5:0.5b') };
  });
  const { writer: accepted } = defineHomelab(homelab as Homelab).llm!.models;
  expect(isTuned(accepted!)).toBe(true);
});

test('accepts a tag as the stable name of its own model, and a version of another program', () => {
  const homelab = changed((h) => {
    h.llm.models.chat.stable = h.llm.models.chat.tag;
    h.llm.models.embeddings.stable = 'embeddings:v1';
  });
  expect(() => defineHomelab(homelab as Homelab)).not.toThrow();
});
