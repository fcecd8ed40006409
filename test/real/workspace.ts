import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { published, type Files } from '../../synth/publish';

const FIXTURE = 'test/fixtures/homelab.ts';

/** What is the owner's besides homelab.ts: what is rendered of it, and what the bootstrap keeps in the repository. */
export const OWNERS = /^(dist\/|scripts\/rendered\/|scripts\/digests\.json$|ca\.crt$)|\.sops\.yaml$/;

/** A copy of this checkout, as it stands, that a test may break, with our node_modules. @returns its folder, which the caller removes */
export function copyOfCheckout(): string {
  const path = fs.mkdtempSync(join(tmpdir(), 'homelab-'));
  const tracked = execFileSync('git', ['ls-files', '-co', '--exclude-standard', '-z']).toString().split('\0');
  for (const file of tracked.filter((each) => each !== '' && !OWNERS.test(each) && fs.existsSync(each))) {
    fs.mkdirSync(join(path, dirname(file)), { recursive: true });
    fs.copyFileSync(file, join(path, file));
  }
  fs.symlinkSync(resolve('node_modules'), join(path, 'node_modules'));
  return path;
}

/** Such a copy whose homelab is the one that tests use, with what it renders. */
export class Workspace {
  readonly path = copyOfCheckout();
  private readonly homelab: string;

  /** @param edits parts of that homelab, and what they are here from the start */
  constructor(...edits: readonly (readonly [from: string, to: string])[]) {
    let text = fs.readFileSync(FIXTURE, 'utf8').replace('../../inventory', './inventory');
    for (const [from, to] of edits) {
      if (!text.includes(from)) throw new Error(`${FIXTURE} does not hold ${JSON.stringify(from)}`);
      text = text.replace(from, () => to);
    }
    this.homelab = text;
    this.edit('', '');
    for (const script of [['main.ts'], ['scripts/bootstrap.ts', 'render']])
      execFileSync(process.execPath, ['-r', 'ts-node/register', ...script], {
        cwd: this.path,
        stdio: 'pipe',
        timeout: 60_000,
      });
  }

  /** Replaces a part of homelab.ts as it was at first. @throws when the part is not there */
  edit(from: string, to: string): void {
    if (!this.homelab.includes(from)) throw new Error(`homelab.ts does not hold ${JSON.stringify(from)}`);
    fs.writeFileSync(
      join(this.path, 'homelab.ts'),
      this.homelab.replace(from, () => to),
    );
  }

  dist(): Files {
    return published(join(this.path, 'dist'));
  }

  /** Puts dist/ back to given files, and removes what a killed synth left beside it. */
  restore(files: Files): void {
    for (const entry of fs.readdirSync(this.path))
      if (/^dist(\.|$)/.test(entry)) fs.rmSync(join(this.path, entry), { recursive: true });
    for (const [path, text] of files) {
      fs.mkdirSync(join(this.path, 'dist', dirname(path)), { recursive: true });
      fs.writeFileSync(join(this.path, 'dist', path), text);
    }
  }

  remove(): void {
    fs.rmSync(this.path, { recursive: true });
  }
}

export function sameFiles(a: Files, b: Files): boolean {
  return a.size === b.size && [...a].every(([path, text]) => b.get(path) === text);
}
