import type { AcceptedChange } from '../../inventory';
import type { Risk } from './plan';
import type { Step } from './step';

/** The name in an accepted change that accepts all risks of a step. */
const EVERYTHING = 'everything';

/** Risks with the owner's reason if they are accepted, and entries that match no risk any more. */
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

/** Message for an entry that matches no risk, because its change is already deployed or has changed. */
export function staleNote({ what, from, to }: AcceptedChange): string {
  const change =
    to === undefined ? `what: '${what}', from: '${from}'` : `what: '${what}', from: '${from}', to: '${to}'`;
  return `accept { ${change} } matches no change (it is already committed, or differs): remove it`;
}

/** The entry that accepts a risk, ready to paste; the owner writes the reason. */
export function acceptEntry({ what, from, to }: Pick<Risk, 'what' | 'from' | 'to'>, today: string): string {
  return `{ what: ${quoted(what)}, from: ${quoted(from)}, to: ${quoted(to)}, on: '${today}', because: '' }`;
}

/** The entry that accepts all risks of a step, for a homelab that is not running yet. */
export function acceptEverything(tree: string, today: string): string {
  return `{ what: '${EVERYTHING}', from: '${tree.slice(0, 10)}', on: '${today}', because: '' }`;
}

function quoted(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}
