import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import type { ExportRecord } from '../../../scripts/models/export-record';
import type { Release } from './release';
import { BASE_ANSWER, PROMPT } from './tiny';

/** A disk of the machine's models whose size the test changes: a tmpfs, which takes only the memory of its files. */
export class Disk {
  constructor(readonly path: string) {
    fs.mkdirSync(path, { recursive: true });
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4g', 'tmpfs', path]);
  }

  /** @param bytes that are free from now on; undefined for enough */
  leave(bytes?: number): void {
    const { blocks, bfree, bsize } = fs.statfsSync(this.path);
    const size = bytes === undefined ? '4g' : (blocks - bfree) * bsize + bytes;
    execFileSync('mount', ['-o', `remount,size=${size}`, this.path]);
  }

  remove(): void {
    execFileSync('umount', [this.path]);
  }
}

interface Refused {
  readonly what: string;
  readonly prepare: () => void | Promise<void>;
  readonly undo: () => void | Promise<void>;
  readonly code: number;
  readonly said: RegExp;
}

/** So many parallel contexts take more memory than any machine has. */
const HUGE = { OLLAMA_NUM_PARALLEL: '10000000' };

/**
 * Publishes what the machine has no room for, on its disk, in its memory or on a GPU, and a version with a wrong answer. Clients keep
 * their version, and the next run finishes.
 */
export async function refusedReleases(release: Release, other: ExportRecord): Promise<void> {
  const { suite, mac, served, disk, fault } = release;
  const { prompts } = mac.homelab.llm!.models.writer!;
  const fill = (change: number) => () => fs.writeFileSync(fault, `${change} full`);
  const cases: readonly Refused[] = [
    {
      what: 'a disk that is full before the copy',
      prepare: () => disk.leave(500e6),
      undo: () => disk.leave(),
      code: 4,
      said: /ai-vm needs 1\.0 GB of free disk for the models, but has 0\.5 GB/,
    },
    {
      what: 'a disk that is full during the copy',
      prepare: fill(0),
      undo: () => disk.leave(),
      code: 1,
      said: /no space left on device[^]*Remove unused models there/,
    },
    {
      what: 'a disk that is full when the version is made',
      prepare: fill(1),
      undo: () => disk.leave(),
      code: 1,
      said: /no space left on device[^]*Remove unused models there/,
    },
    {
      what: 'a model that does not fit into memory',
      prepare: () => served.restart(HUGE),
      undo: () => served.restart(),
      code: 1,
      said: /model requires more system memory \(\S+ .iB\) than is available/,
    },
    {
      what: 'a model that is not on the GPU',
      prepare: () => mac.setGpu(true),
      undo: () => mac.setGpu(false),
      code: 4,
      said: /writer:v4 runs on the CPU of ai-vm/,
    },
    {
      what: 'a version with a wrong answer',
      prepare: () => mac.change('writer', (model) => (model.prompts = [{ prompt: PROMPT, exact: BASE_ANSWER }])),
      undo: () => mac.change('writer', (model) => (model.prompts = prompts)),
      code: 1,
      said: /1 of 1 answers of writer:v4 are not what homelab\.ts expects\. Clients still get the previous version/,
    },
  ];
  for (const { what, prepare, undo, code, said } of cases) {
    await release.reset(other);
    await prepare();
    const refused = await mac.run('publish', 'writer');
    fs.rmSync(fault, { force: true });
    const names = [...(await served.digests()).keys()].sort().join();
    await undo();
    suite.tally.check(
      `${what} stops publish with the reason`,
      refused.code === code && said.test(refused.stderr),
      `${refused.code}\n${refused.stdout}${refused.stderr}`,
    );
    const answer = await release.answer();
    suite.tally.check(
      `${what}: clients keep the previous version, and the new one is not there`,
      answer === BASE_ANSWER && !names.includes('writer:v4'),
      `${answer}\n${names}`,
    );
    const next = await mac.run('publish', 'writer');
    suite.tally.check(
      `${what}: without the cause, the next run finishes`,
      next.code === 0 && (await release.answer()) !== BASE_ANSWER,
      `${next.code}\n${next.stdout}${next.stderr}`,
    );
    suite.laps.lap(`release: ${what}`);
  }
}
