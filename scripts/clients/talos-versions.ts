/** Versions of Talos and Kubernetes, as v1.36.3. */
export const RELEASE = /v\d+\.\d+\.\d+/;

/**
 * Why one version cannot follow another, as a sentence, or undefined. Talos and Kubernetes both go one minor at a time, and
 * never back.
 */
export function stepProblem(what: string, from: string, to: string): string | undefined {
  const [a, b] = [numbers(from), numbers(to)];
  const newer = a.map((part, index) => b[index]! - part).find((difference) => difference !== 0) ?? 0;
  if (newer < 0) return `${what} is ${from} and homelab.ts says ${to}; it cannot go back`;
  if (b[0] !== a[0] || b[1]! - a[1]! > 1)
    return `${what} is ${from} and homelab.ts says ${to}; it goes one minor at a time: first write the last v${a[0]}.${a[1]! + 1}.x`;
  return undefined;
}

function numbers(version: string): number[] {
  return version.slice(1).split('.').map(Number);
}
