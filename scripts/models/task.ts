import type { Progress } from '../engine/step';

/** Runs a part of a command, and prints its title and duration. A terminal also shows its progress. */
export async function task<T>(title: string, run: (progress: Progress) => Promise<T>): Promise<T> {
  const begin = Date.now();
  const shows = process.stderr.isTTY === true;
  const line = (text: string) =>
    shows && process.stderr.write(`\r\u001B[K${text.slice(0, (process.stderr.columns ?? 80) - 1)}`);
  line(`  … ${title}`);
  try {
    const result = await run((what) => line(`  … ${what}`));
    line('');
    console.log(`  ✔ ${title} (${seconds(begin)})`);
    return result;
  } catch (error) {
    line('');
    console.log(`  ✖ ${title} (${seconds(begin)})`);
    throw error;
  }
}

function seconds(begin: number): string {
  return `${((Date.now() - begin) / 1000).toFixed(1)} s`;
}

/** Formats bytes as MB or GB. */
export function gigabytes(bytes: number): string {
  return bytes < 1e8 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
}
