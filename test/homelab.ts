import { homelabApp } from '../charts';
import type { Rendering } from '../checks';
import good from './fixtures/homelab';
import { defineHomelab, type Homelab } from '../inventory';
import { render } from '../synth';

/** A copy of a homelab, by default that of tests, that a test may change; quantities are shared, they are never changed in place. */
export function changed(change: (homelab: any) => void, base: Homelab = good): any {
  const homelab = copy(base);
  change(homelab);
  return homelab;
}

/** The message that refuses a homelab with a mistake in it. */
export function refusal(breakIt: (homelab: any) => void): string {
  const broken = changed(breakIt);
  try {
    defineHomelab(broken as Homelab);
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error('the broken homelab was accepted');
}

/** What the homelab renders, after a change to it. @throws where the changed homelab is refused */
export function renderedHomelab(change: (homelab: any) => void = () => undefined): Rendering {
  return render(homelabApp(defineHomelab(changed(change) as Homelab)));
}

/** The rendered objects of a kind. */
export function ofKind(rendering: Rendering, ...kinds: readonly string[]): Readonly<Record<string, any>>[] {
  return rendering.map(({ object }) => object).filter(({ kind }) => kinds.includes(kind));
}

function copy(value: any): any {
  if (Array.isArray(value)) return value.map(copy);
  if (value === null || typeof value !== 'object' || Object.getPrototypeOf(value) !== Object.prototype) return value;
  return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, copy(entry)]));
}
