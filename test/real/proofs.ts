import * as fs from 'node:fs';

const FILE = 'docs/proofs.md';

/**
 * Writes what a full run of a suite measured, or a long sample, into docs/proofs.md, in the suite's own section.
 * @param table lines of a Markdown table that follows them
 */
export function writeProofs(
  suite: string,
  lines: readonly string[],
  how = '--full',
  table: readonly string[] = [],
): void {
  const text = fs.existsSync(FILE) ? fs.readFileSync(FILE, 'utf8') : HEAD;
  const [begin, end] = [`<!-- ${suite} -->\n`, `<!-- /${suite} -->\n`];
  const figures = lines.map((line) => `- ${line}`).join('\n') + (table.length > 0 ? `\n\n${table.join('\n')}` : '');
  const section = `${begin}\n## ${suite}\n\n${how === '--full' ? 'Full run' : 'Run'} of ${new Date().toISOString().slice(0, 10)}, Node ${process.version}: \`npm run test:real -- ${suite} ${how}\`\n\n${figures}\n\n${end}`;
  const from = text.indexOf(begin);
  const to = text.indexOf(end);
  fs.writeFileSync(
    FILE,
    from >= 0 && to >= 0
      ? text.slice(0, from) + section + text.slice(to + end.length)
      : `${text.trimEnd()}\n\n${section}`,
  );
}

const HEAD = `# What was proved, with what

Figures of the last full run, or long sample, of each suite of \`npm run test:real\`. The samples in CI run the same code on fewer cases.

kwok plays the kubelets of the test cluster: it runs no container, so jobs succeed, probes never fail and a start takes no time. It proves
admission, scheduling, binding and controllers, and nothing that a process would have to prove.

Argo CD is 3.2.6 here, the newest that builds from Go modules; \`homelab.ts\` pins a newer one for the cluster. What is proved with it (the order of
waves, health, pruning, exclusions, server-side apply) is documented for both; its definitions are those of the pinned version. Traefik is
the version that we render. Kubernetes is the version that the homelab of tests pins (\`test/fixtures/homelab.ts\`), and the oldest that builds.

The databases run as processes, each container with its pod's user, a read-only root, volumes, names, probes and memory limit. mongod 6.0.5
stands in for 8.0, and the start scripts of Cassandra's image for scripts of ours, because no registry has the originals
(\`test/real/databases/image\`). The root file system is the test machine's: a script that uses a program which the image lacks is not found out.
Network policies and CPU shares are not enforced there. A cut of power is one of the file systems: the cache of a real disk is not tried.
`;

/** What a suite got done, said with the time since it began. */
export class Laps {
  readonly lines: string[] = [];
  private readonly begin = Date.now();

  /** Since it was made. */
  get seconds(): number {
    return (Date.now() - this.begin) / 1000;
  }

  lap(what: string): void {
    const line = `${what} (${this.seconds.toFixed(1)} s)`;
    console.log(line);
    this.lines.push(line);
  }
}
