import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'yaml';
import { isTuned, type TunedModel } from '../../../inventory';
import { trainingConfig } from '../../../scripts/models/config';
import { lossPicture } from '../../../scripts/models/loss-picture';
import { duration, parseProgress, progressText, ProgressView, secondsLeft } from '../../../scripts/models/progress';
import { decide, lastCheckpoint } from '../../../scripts/models/training';
import homelab from '../../fixtures/homelab';
import { TRAINING } from '../../fixtures/training';

const writer = Object.values(homelab.llm!.models).find(isTuned)!;
const withTraining = (training: Partial<TunedModel['training']>): TunedModel => ({
  ...writer,
  training: { ...writer.training, ...training },
});

describe('config.yaml', () => {
  test('has every setting, with the defaults of mlx_lm.lora', () => {
    expect(parse(trainingConfig(writer).text)).toEqual({
      model: writer.base.repository,
      revision: writer.base.revision,
      train: true,
      data: 'models/writer/data',
      data_digest: writer.training.digest,
      fine_tune_type: 'lora',
      lora_parameters: { rank: 8, scale: 20, dropout: 0 },
      num_layers: 16,
      optimizer: 'adam',
      learning_rate: 1e-5,
      batch_size: 1,
      iters: 1000,
      max_seq_length: 1024,
      seed: 0,
      grad_checkpoint: true,
      val_batches: 25,
      steps_per_eval: 50,
      save_every: 50,
      patience: 3,
    });
  });

  test('of a full fine-tuning has no adapter', () => {
    expect(parse(trainingConfig(withTraining({ kind: 'full' })).text)).not.toHaveProperty('lora_parameters');
  });

  test.each([
    [1, 1],
    [30, 2],
    [1000, 50],
    [100_000, 100],
  ])('of %i iterations has a checkpoint every %i', (iterations, every) => {
    expect(trainingConfig(withTraining({ iterations })).every).toBe(every);
  });
});

describe('a run after an earlier one', () => {
  const folder = fs.mkdtempSync(join(tmpdir(), 'training-'));
  afterAll(() => fs.rmSync(folder, { recursive: true }));
  const write = (path: string, text = '') => {
    fs.mkdirSync(join(folder, path, '..'), { recursive: true });
    fs.writeFileSync(join(folder, path), text);
  };

  test('begins, resumes, is done, and begins again when settings change', () => {
    expect(decide(folder, 'a')).toEqual({ what: 'start' });
    write('config.yaml', 'a');
    expect(decide(folder, 'a')).toEqual({ what: 'start' });
    write('checkpoints/0000050.next/state.json');
    expect(lastCheckpoint(folder)).toBeUndefined();
    expect(decide(folder, 'b')).toEqual({ what: 'start' });
    write('checkpoints/0000050/state.json');
    write('checkpoints/0000020/state.json');
    expect(decide(folder, 'a')).toEqual({ what: 'resume', iteration: 50 });
    expect(decide(folder, 'b')).toEqual({ what: 'restart', iteration: 50, finished: false });
    write('training.json');
    expect(decide(folder, 'a')).toEqual({ what: 'done' });
    expect(decide(folder, 'b')).toEqual({ what: 'restart', iteration: 50, finished: true });
  });
});

describe('progress', () => {
  const line = (iteration: number, seconds: number, more = {}) =>
    `${JSON.stringify({ iteration, seconds, peakMemory: 2 ** 30, ...more })}\n`;

  test('leaves out an incomplete line, and lines that are not progress', () => {
    expect(parseProgress(`${line(1, 1)}7\nnull\n{"iteration": "x"}\n\n${line(2, 2).slice(0, 20)}`)).toHaveLength(1);
    expect(parseProgress('')).toEqual([]);
    expect(parseProgress('{"iteration": 1, "seconds": 1}')).toEqual([]);
  });

  test('estimates the time left from the latest iterations', () => {
    const lines = parseProgress(`${line(0, 0)}${line(10, 1000)}${line(60, 1050)}${line(110, 1100)}`);
    expect(secondsLeft(lines, 210)).toBe(100);
    expect(secondsLeft(lines.slice(0, 1), 210)).toBeUndefined();
    expect(secondsLeft([], 210)).toBeUndefined();
  });

  test('is one line with bar, losses, speed, memory and time', () => {
    const lines = parseProgress(`${line(0, 0, { valid: 3 })}${line(5, 50, { train: 2.5, tokensPerSecond: 99.6 })}`);
    expect(progressText(lines, 10)).toBe(
      `${'█'.repeat(12)}${'░'.repeat(12)} 5/10  loss 2.500  valid 3.000  100 tokens/s  1.00 GiB  50 s left (at most)`,
    );
    expect(progressText([], 10)).toBe('loads the base');
  });

  test.each([
    [59.4, '59 s'],
    [59.6, '1 min 0 s'],
    [3599, '59 min 59 s'],
    [7260, '2 h 1 min'],
  ])('%d seconds are %s', (seconds, text) => expect(duration(seconds)).toBe(text));

  test('is drawn in place in a terminal, and as a line from time to time in a log', () => {
    const written: string[] = [];
    const out = (isTTY: boolean) =>
      ({ isTTY, columns: 30, write: (text: string) => written.push(text) }) as unknown as NodeJS.WriteStream;
    const terminal = new ProgressView(out(true));
    terminal.show('x'.repeat(50));
    terminal.show('x'.repeat(50));
    terminal.end();
    expect(written).toEqual([`\r\u001b[2K${'x'.repeat(29)}`, '\n']);
    written.length = 0;
    const log = new ProgressView(out(false));
    log.show('one');
    log.show('two');
    log.end();
    expect(written).toEqual(['one\n']);
  });
});

describe('the loss picture', () => {
  test('shows both curves and the best point, and is the same each time', () => {
    const svg = lossPicture(TRAINING);
    expect(lossPicture(TRAINING)).toBe(svg);
    expect(svg.match(/<polyline/g)).toHaveLength(2);
    expect(svg).toContain('validation, best 1.25 at 100');
    expect(svg).toMatchSnapshot();
  });

  test('accepts a training of one point, and escapes a name with markup', () => {
    const svg = lossPicture({ name: '<b>&', losses: [{ iteration: 0, valid: 0 }], best: { iteration: 0, loss: 0 } });
    expect(svg).not.toMatch(/NaN|Infinity|<b>/);
  });
});
