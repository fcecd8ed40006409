import type { Files } from './publish';

/** The changes of a new rendering by folder, as lines for a terminal. */
export function changes(before: Files, after: Files): string[] {
  const folders = [...new Set([...before.keys(), ...after.keys()].map(folderOf))].sort();
  const lines = folders.flatMap((folder) => {
    const kinds = { added: [] as string[], changed: [] as string[], removed: [] as string[] };
    for (const path of new Set([...before.keys(), ...after.keys()])) {
      if (folderOf(path) !== folder || before.get(path) === after.get(path)) continue;
      const kind = !before.has(path) ? 'added' : !after.has(path) ? 'removed' : 'changed';
      kinds[kind].push(path.slice(path.lastIndexOf('/') + 1).replace(/\.yaml$/, ''));
    }
    const parts = Object.entries(kinds)
      .filter(([, names]) => names.length > 0)
      .map(([kind, names]) => `${names.length} ${kind} (${shortened(names.sort())})`);
    return parts.length > 0 ? [`${folder}: ${parts.join(', ')}`] : [];
  });
  return lines.length > 0 ? lines : ['dist/: nothing changed'];
}

function folderOf(path: string): string {
  return path.includes('/') ? path.slice(0, path.indexOf('/')) : '.';
}

function shortened(names: readonly string[]): string {
  return names.length > 6 ? `${names.slice(0, 5).join(', ')} and ${names.length - 5} more` : names.join(', ');
}
