import * as fs from 'node:fs';

const FILE = 'docs/proofs.md';

/**
 * Replaces the section of a suite in docs/proofs.md by the figures of a full run or of a long sample.
 * @param lines one result each, as a plain sentence or as NAME: FIGURES
 * @param table lines of a Markdown table that follows them
 */
export function writeProofs(
  suite: string,
  lines: readonly string[],
  how = '--full',
  table: readonly string[] = [],
): void {
  const text = fs.readFileSync(FILE, 'utf8');
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

/** Results of a suite, each with the seconds since its start. */
export class Laps {
  readonly lines: string[] = [];
  private readonly begin = Date.now();

  get seconds(): number {
    return (Date.now() - this.begin) / 1000;
  }

  lap(what: string): void {
    const line = `${what} (${this.seconds.toFixed(1)} s)`;
    console.log(line);
    this.lines.push(line);
  }
}
