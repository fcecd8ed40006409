import { servedName } from '../../inventory';
import { ollama as ollamaOf } from '../clients/ollama';
import type { Context } from '../clients/context';
import { Blocked, EXIT } from '../engine/problem';
import { alone } from './lock';
import { loadResident, releasesOf, serve, unloadVersion, versionOf, type Releases } from '../clients/model-releases';
import { task } from './task';
import { tunedModel } from './tuned';

/** Serves an earlier version that is still on the machine. This is one API call; it copies no weights and needs no commit. */
export async function rollback(context: Context, [name = '', version, ...more]: readonly string[]): Promise<number> {
  const [, model] = tunedModel(context.homelab, [name, ...more].filter(Boolean));
  return alone(name, async () => {
    const ollama = ollamaOf(context);
    const seen = await releasesOf(ollama, name, model);
    const target = targetOf(name, seen, version);
    const stable = servedName(name, model);
    const from = seen.served === undefined ? 'an unknown version' : `v${seen.served}`;
    await context.ask.agree(`${stable} on ${ollama.vm.name}: ${from} -> v${target}?`);
    context.commands.changing = true;
    try {
      await task(`${stable} is v${target}`, () => serve(ollama, name, model, { version: target, seen }));
      await unloadVersion(ollama, name, seen.served);
      if (model.resident === true)
        await task(`${stable} stays loaded`, (progress) => loadResident(ollama, context.homelab, progress));
    } finally {
      context.commands.changing = false;
    }
    return EXIT.done;
  });
}

/** @throws Blocked when there is no such version on the machine */
export function targetOf(name: string, { versions, served }: Releases, version: string | undefined): number {
  const there = [...versions.keys()].sort((a, b) => a - b);
  const others = there.filter((each) => each !== served);
  const says = `on the machine: ${there.map((each) => `v${each}`).join(', ') || 'none'}; served: ${served === undefined ? 'none of them' : `v${served}`}`;
  if (version === undefined) {
    const earlier = others.filter((each) => served === undefined || each < served).at(-1);
    if (earlier === undefined) throw new Blocked(`${name} has no version before the served one (${says})`);
    return earlier;
  }
  const wanted = versionOf(version);
  if (others.includes(wanted)) return wanted;
  throw new Blocked(
    wanted === served ? `${name} is v${wanted} already` : `${name} has no v${wanted} on the machine (${says})`,
  );
}
