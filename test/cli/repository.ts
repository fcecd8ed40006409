import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { homelabApp } from '../../charts';
import { DeclaredSecret } from '../../constructs';
import type { Homelab } from '../../inventory';
import { machineFiles } from '../../machines';
import { printYaml, render, secretsList } from '../../synth';

/** The Git repository of an owner, in its own folder. */
export class Repository {
  readonly root = fs.mkdtempSync(join(tmpdir(), 'repository-'));

  constructor() {
    this.git('init', '-q', '-b', 'main');
  }

  git(...args: readonly string[]): string {
    const who = ['-c', 'user.name=test', '-c', 'user.email=test@example.com', '-c', 'commit.gpgsign=false'];
    return execFileSync('git', [...who, ...args], { cwd: this.root, stdio: 'pipe', encoding: 'utf8' });
  }

  write(path: string, text: string): void {
    fs.mkdirSync(dirname(join(this.root, path)), { recursive: true });
    fs.writeFileSync(join(this.root, path), text);
  }

  commit(): void {
    this.git('add', '-A');
    this.git('commit', '-qm', 'a change');
  }

  /** Commits what synth writes for a homelab. */
  commitHomelab(homelab: Homelab): void {
    const app = homelabApp(homelab);
    fs.rmSync(join(this.root, 'dist'), { recursive: true, force: true });
    for (const { file, object } of render(app)) this.write(`dist/${file}`, `---\n${printYaml(object)}`);
    this.write('dist/secrets.yaml', secretsList(DeclaredSecret.all(app)));
    for (const [file, text] of machineFiles(homelab)) this.write(`scripts/rendered/${file}`, text);
    this.commit();
  }

  remove(): void {
    fs.rmSync(this.root, { recursive: true });
  }
}
