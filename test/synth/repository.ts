import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

/** A real Git repository in its own folder; `end` removes it. */
export interface Repository {
  readonly folder: string;
  git(...args: readonly string[]): string;
  write(files: Readonly<Record<string, string>>): void;
  commit(files?: Readonly<Record<string, string>>): void;
  end(): void;
}

export function repository(...initOptions: readonly string[]): Repository {
  const folder = fs.mkdtempSync(join(tmpdir(), 'repository-'));
  const git = (...args: readonly string[]) =>
    execFileSync('git', ['-c', 'user.name=n', '-c', 'user.email=e@x', '-c', 'commit.gpgsign=false', ...args], {
      cwd: folder,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  const write = (files: Readonly<Record<string, string>>) => {
    for (const [path, text] of Object.entries(files)) {
      fs.mkdirSync(dirname(join(folder, path)), { recursive: true });
      fs.writeFileSync(join(folder, path), text);
    }
  };
  git('init', '-q', ...initOptions);
  return {
    folder,
    git,
    write,
    commit: (files = {}) => {
      write(files);
      git('add', '-A');
      git('commit', '-q', '--allow-empty', '-m', 'c');
    },
    end: () => fs.rmSync(folder, { recursive: true, force: true }),
  };
}
