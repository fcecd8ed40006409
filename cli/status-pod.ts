type Json = any;

/** What is known of a pod of a database. */
export interface PodStatus {
  readonly pod: string;
  readonly ready: boolean;
  /** Why nothing more is known of it. */
  readonly problem?: string;
  /** What its container tells that knows the database. */
  readonly own?: Json;
  /** What the container `backup` tells. */
  readonly backup?: Json;
  /** Seconds between two backups; undefined where it makes none. */
  readonly backupEvery?: number;
}

/** Of one database. */
export interface Status {
  readonly summary: string;
  /** The first line has the names of the columns. */
  readonly rows: readonly (readonly string[])[];
  readonly problems: string[];
}

const HOUR = 3600;

/** How long ago a time is, in seconds since 1970; `never` for none. */
export function age(at: number | null | undefined, now: number): string {
  if (!at) return 'never';
  const seconds = Math.max(0, Math.round(now / 1000 - at));
  if (seconds < 2 * HOUR) return `${Math.round(seconds / 60)} min ago`;
  return seconds < 48 * HOUR ? `${Math.round(seconds / HOUR)} h ago` : `${Math.round(seconds / HOUR / 24)} d ago`;
}

/** The newest backup, as a column, and what is wrong with it. A backup takes its time, so it is late after one and a half rounds. */
export function backupOf(
  { pod, backup, backupEvery, problem }: PodStatus,
  now: number,
): { column: string; problems: string[] } {
  if (backupEvery === undefined) return { column: 'none is made', problems: [] };
  if (problem !== undefined) return { column: '?', problems: [] };
  const newest = backup?.newest ? Date.parse(backup.newest) / 1000 : undefined;
  const limit = 1.5 * backupEvery + HOUR;
  const problems = [
    ...(backup?.error ? [`${pod}: the last try of a backup failed: ${backup.error}`] : []),
    ...(newest === undefined ? [`${pod}: there is no backup yet`] : []),
    ...(newest !== undefined && now / 1000 - newest > limit
      ? [
          `${pod}: the newest backup is from ${age(newest, now)} and should be at most ${Math.round(limit / HOUR)} h old`,
        ]
      : []),
  ];
  return { column: age(newest, now), problems };
}

/** Columns under each other. */
export function table(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows.map((row) => `  ${row.map((cell, column) => cell.padEnd(widths[column]!)).join('  ')}`.trimEnd());
}
