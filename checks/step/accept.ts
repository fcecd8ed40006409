import type { AcceptedChange } from '../../inventory';
import type { Risk } from './plan';
import type { Step } from './step';

/** What of an accepted change stands for all risks of a step. */
const EVERYTHING = 'everything';

/** Risks with the owner's reason where one lets them through, and entries that let nothing through any more. */
export function acceptRisks(
  step: Step,
  risks: readonly Risk[],
): { readonly risks: readonly Risk[]; readonly stale: readonly AcceptedChange[] } {
  const accept = step.accept ?? step.homelab?.accept ?? [];
  const tree = step.before.tree;
  const matches = (entry: AcceptedChange, { what, from, to }: Risk) =>
    entry.what === EVERYTHING
      ? tree !== undefined && entry.from.length >= 7 && tree.startsWith(entry.from)
      : entry.what === what && entry.from === from && entry.to === to;
  return {
    risks: risks.map((risk) => {
      const entry = accept.find((each) => matches(each, risk));
      return entry ? { ...risk, accepted: `${entry.because} (${entry.on})` } : risk;
    }),
    stale: accept.filter((entry) => !risks.some((risk) => matches(entry, risk))),
  };
}

/** What is said of an entry that lets nothing through: its change is done, or was never made like this. */
export function staleNote({ what, from, to }: AcceptedChange): string {
  const change =
    to === undefined ? `what: '${what}', from: '${from}'` : `what: '${what}', from: '${from}', to: '${to}'`;
  return `accept { ${change} } matches no change, as it is done or was another one: remove it`;
}

/** The entry that lets a risk through, as it is pasted; the reason is the owner's to write. */
export function acceptEntry({ what, from, to }: Pick<Risk, 'what' | 'from' | 'to'>, today: string): string {
  return `{ what: ${quoted(what)}, from: ${quoted(from)}, to: ${quoted(to)}, on: '${today}', because: '' }`;
}

/** The entry that lets all of a step through, for a homelab of which nothing runs yet. */
export function acceptEverything(tree: string, today: string): string {
  return `{ what: '${EVERYTHING}', from: '${tree.slice(0, 10)}', on: '${today}', because: '' }`;
}

function quoted(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}
