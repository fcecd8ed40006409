import { homelabApp } from './charts';
import { checks } from './checks';
import { main } from './synth';

// Loaded by synth, so that what is wrong with the homelab is reported like everything else.
main(async () => {
  const { default: homelab } = await import('./homelab');
  return { homelab, app: homelabApp(homelab), checks };
});
