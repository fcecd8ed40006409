import { picture } from '../synth';

/** Prints the homelab as an SVG. */
export async function printPicture(): Promise<void> {
  const { default: homelab } = await import('../homelab');
  process.stdout.write(picture(homelab));
}
