type Json = any;

/** The state of one pod of a database. */
export interface PodStatus {
  readonly pod: string;
  readonly ready: boolean;
  /** Why its state is unknown. */
  readonly problem?: string;
  /** The report of its container `ops` or `reconcile`. */
  readonly own?: Json;
  /** The report of the container `backup`. */
  readonly backup?: Json;
  /** Seconds between two backups; undefined without backups. */
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

/** How long ago a time (seconds since 1970) was; `never` for none. */
export function age(at: number | null | undefined, now: number): string {
  if (!at) return 'never';
  const seconds = Math.max(0, Math.round(now / 1000 - at));
  if (seconds < 2 * HOUR) return `${Math.round(seconds / 60)} min ago`;
  return seconds < 48 * HOUR ? `${Math.round(seconds / HOUR)} h ago` : `${Math.round(seconds / HOUR / 24)} d ago`;
}

/** The newest backup, as a column, and its problems. A backup takes some time, so it is late after one and a half intervals. */
export function backupOf(
  { pod, backup, backupEvery, problem }: PodStatus,
  now: number,
): { column: string; problems: string[] } {
  if (backupEvery === undefined) return { column: 'off', problems: [] };
  if (problem !== undefined) return { column: '?', problems: [] };
  const newest = backup?.newest ? Date.parse(backup.newest) / 1000 : undefined;
  const limit = 1.5 * backupEvery + HOUR;
  const problems = [
    ...(backup?.error ? [`${pod}: the last backup failed: ${backup.error}`] : []),
    ...(newest === undefined ? [`${pod}: there is no backup yet`] : []),
    ...(newest !== undefined && now / 1000 - newest > limit
      ? [
          `${pod}: the newest backup is from ${age(newest, now)} and should be at most ${Math.round(limit / HOUR)} h old`,
        ]
      : []),
  ];
  return { column: age(newest, now), problems };
}

/** Aligns columns. */
export function table(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows.map((row) => `  ${row.map((cell, column) => cell.padEnd(widths[column]!)).join('  ')}`.trimEnd());
}
