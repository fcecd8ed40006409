import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { faultsText, judgeData } from '../../../scripts/models/data';
import { dataDigest, folderDigest } from '../../../scripts/models/digests';

const folder = fs.mkdtempSync(join(tmpdir(), 'data-'));
afterAll(() => fs.rmSync(folder, { recursive: true }));

const data = 'models/writer/data';
const user = { role: 'user', content: 'What is a workspace?' };
const assistant = { role: 'assistant', content: 'A place for documents.' };
const chat = (...messages: unknown[]) => JSON.stringify({ messages });
const pair = (prompt: unknown, completion: unknown, more = {}) => JSON.stringify({ prompt, completion, ...more });
const VALID = pair('And another question?', 'Another answer.');

async function faultsOf(train: string | Buffer | undefined, valid: string | undefined, digest?: string) {
  for (const [file, content] of [
    ['train.jsonl', train],
    ['valid.jsonl', valid],
  ] as const) {
    fs.rmSync(join(folder, file), { force: true });
    if (content !== undefined) fs.writeFileSync(join(folder, file), content);
  }
  const whole = train !== undefined && valid !== undefined;
  const { faults } = await judgeData(folder, { data, digest: digest ?? (whole ? await dataDigest(folder) : '') });
  return faults;
}

/** The second line of train.jsonl, after a good one, and the text of its fault. */
const BAD_LINES: readonly (readonly [what: string, line: string, problem: RegExp])[] = [
  ['an empty line', '', /the line is empty/],
  ['no JSON', '{"prompt": "a", }', /it is not JSON/],
  ['single quotes', "{'prompt': 'a', 'completion': 'b'}", /it is not JSON/],
  ['a line that was cut off', pair('a', 'b').slice(0, -4), /it is not JSON/],
  ['a list', '["a", "b"]', /must be an object, got \["a","b"\]/],
  ['a number', '7', /must be an object, got 7/],
  ['null', 'null', /must be an object, got null/],
  ['another shape', '{"question": "a", "answer": "b"}', /one shape, got the keys question, answer/],
  ['two shapes', '{"prompt": "a", "completion": "b", "text": "c"}', /one shape, got the keys prompt, completion, text/],
  ['a completion that is missing', '{"prompt": "a"}', /completion must be a string, got nothing/],
  ['a completion that is a number', pair('a', 4), /completion must be a string, got 4/],
  ['an empty answer', pair('a', ' \n'), /completion is empty/],
  ['an empty prompt', pair('', 'b'), /prompt is empty/],
  ['a shape that differs from the first', '{"text": "once upon a time"}', /its shape is text, but the first example/],
  ['an empty text', '{"text": ""}', /text is empty/],
  ['messages that are none', '{"messages": "hello"}', /messages must be a list of messages, got "hello"/],
  ['no messages', chat(), /messages must be a list of messages, got \[\]/],
  ['a message that is text', chat('hello'), /messages\[0\] must be a message, got "hello"/],
  [
    'a wrong role',
    chat({ role: 'human', content: 'a' }, assistant),
    /messages\[0\]\.role must be one of .*, got "human"/,
  ],
  ['content that is a list', chat(user, { role: 'assistant', content: [] }), /messages\[1\]\.content must be a string/],
  ['an empty answer in a chat', chat(user, { role: 'assistant', content: '' }), /content is empty \(assistant\)/],
  [
    'a chat that ends with a question',
    chat(user, assistant, user),
    /last message must have the role assistant, got "user"/,
  ],
  [
    'a system message that is not first',
    chat(user, { role: 'system', content: 'x' }, assistant),
    /the role system, but is not the first/,
  ],
  ['two questions in a row', chat(user, user, assistant), /both have the role user/],
  ['a chat that begins with an answer', chat(assistant), /the first message has the role assistant/],
  ['a chat without a question', chat({ role: 'system', content: 'x' }, assistant), /no message has the role user/],
  ['the same example twice', pair('What is  a WORKSPACE?', 'A place.'), /repeats an earlier example .*train\.jsonl:1/],
  [
    'a key of GitHub',
    pair('token?', `It is ghp_${'a1B2c3D4'.repeat(4)}`),
    /a credential \(the form of a known kind of key\)/,
  ],
  ['a private key', pair('key?', '-----BEGIN OPENSSH PRIVATE KEY-----'), /a credential \(the form of a known/],
  [
    'a password in an address',
    pair('db?', 'mongodb://app:hunter22@mongodb/db'),
    /a credential \(an address with a password/,
  ],
  ['a password by its name', pair('env?', 'DB_PASSWORD=correct4horse'), /a credential \(by its name\)/],
  [
    'random characters',
    pair('id?', 'use 9f86d081884c7d659a2feaa0c55ad015 for it'),
    /a credential \(random characters\)/,
  ],
  ['a character that is no UTF-8', '{"prompt": "a", "completion": "\ufffd"}', /could not be decoded/],
];

describe('a line of training data', () => {
  test.each(BAD_LINES)('%s', async (_, line, problem) => {
    const first = pair('What is a workspace?', 'A place.');
    const faults = await faultsOf(`${first}\n${line}\n`, `${VALID}\n`);
    expect(faults).toHaveLength(1);
    expect(faults[0]).toMatchObject({ at: `${data}/train.jsonl:2`, problem: expect.stringMatching(problem) });
    expect(faults[0]!.fix).not.toBe('');
  });

  test.each([
    ['pairs', pair('a', 'b'), pair('c', 'd')],
    ['texts', '{"text": "a"}', '{"text": "b\u2028c"}'],
    [
      'a chat with a system message',
      chat({ role: 'system', content: 's' }, user, assistant),
      chat(user, assistant, { ...user, content: 'And?' }, assistant),
    ],
    [
      'a call of a tool',
      chat(user, { role: 'assistant', tool_calls: [{ id: '1' }] }, { role: 'tool', content: '4' }, assistant),
      chat(user, assistant),
    ],
    [
      'prose about passwords',
      pair('rules?', 'A password: eight characters or more. Never send it as token=abc.'),
      pair('c', 'd'),
    ],
    [
      'what the owner allows',
      pair('id?', 'use 9f86d081884c7d659a2feaa0c55ad015', { not_a_secret: 'a digest' }),
      pair('c', 'd'),
    ],
    ['lines that end as on Windows', `${pair('a', 'b')}\r`, pair('c', 'd')],
  ])('takes %s', async (_, train, valid) => {
    expect(await faultsOf(`${train}\n`, `${valid}\n`)).toEqual([]);
  });

  test('never shows a credential', async () => {
    const faults = await faultsOf(`${pair('env?', 'DB_PASSWORD=correct4horse')}\n`, `${VALID}\n`);
    expect(faultsText(faults)).not.toContain('correct4horse');
  });
});

describe('the files of training data', () => {
  const good = `${pair('a', 'b')}\n`;

  test.each([
    ['there is no valid.jsonl', good, undefined, 'valid.jsonl', /the file is missing/],
    ['there is no train.jsonl', undefined, good, 'train.jsonl', /the file is missing/],
    ['valid.jsonl is empty', good, '', 'valid.jsonl', /the file is empty/],
    [
      'an example is in both',
      good,
      good,
      'valid.jsonl:1',
      /trains with the same example \(models\/writer\/data\/train\.jsonl:1\)/,
    ],
    ['the shapes differ', good, '{"text": "a"}\n', 'valid.jsonl:1', /its shape is text/],
    ['it begins with a byte order mark', `\ufeff${good}`, `${VALID}\n`, 'train.jsonl:1', /byte order mark/],
    [
      'it is not UTF-8',
      Buffer.from([...Buffer.from('{"text": "'), 0xff, ...Buffer.from('"}\n')]),
      '{"text": "a"}\n',
      'train.jsonl:1',
      /could not be decoded/,
    ],
  ])('%s', async (_, train, valid, at, problem) => {
    const faults = await faultsOf(train, valid);
    expect(faults[0]).toMatchObject({ at: `${data}/${at}`, problem: expect.stringMatching(problem) });
  });

  test('reports another digest than that of homelab.ts, with the one to write', async () => {
    const [fault] = await faultsOf(good, `${VALID}\n`, `sha256:${'0'.repeat(64)}`);
    expect(fault!.fix).toContain(await dataDigest(folder));
  });

  test('counts many problems, and shows twenty', async () => {
    const faults = await faultsOf('{}\n'.repeat(100), `${VALID}\n`);
    expect(faultsText(faults)).toMatch(/^100 problems.*[^]*and 80 more$/);
  });
});

describe('digests', () => {
  const shell = (command: string) =>
    `sha256:${execFileSync('sh', ['-c', command], { cwd: folder, encoding: 'utf8' }).slice(0, 64)}`;

  test('a shell computes the same digest of the data', async () => {
    await faultsOf('{"text": "a"}\n', '{"text": "b"}\n');
    expect(await dataDigest(folder)).toBe(shell('sha256sum train.jsonl valid.jsonl | sha256sum'));
  });

  test('a shell computes the same digest of a folder without hidden files', async () => {
    fs.mkdirSync(join(folder, 'A b/.cache'), { recursive: true });
    fs.writeFileSync(join(folder, 'A b/x.json'), '{}');
    fs.writeFileSync(join(folder, 'A b/.cache/y'), 'y');
    fs.writeFileSync(join(folder, '.DS_Store'), 'z');
    const seen = await folderDigest(folder);
    expect(seen).toBe(
      shell(
        "find -L . -type f | grep -v '/\\.' | cut -c 3- | LC_ALL=C sort | tr '\\n' '\\0' | xargs -0 sha256sum | sha256sum",
      ),
    );
    fs.writeFileSync(join(folder, 'A b/x.json'), '[]');
    expect(await folderDigest(folder)).not.toBe(seen);
  });
});
