import { homelabApp } from './charts';
import { checks } from './checks';
import { ownCharts } from './own-charts';
import { main } from './synth';

// homelab.ts is loaded inside main, so that its errors are reported like all others.
main(async () => {
  const { default: homelab } = await import('./homelab');
  return { homelab, app: homelabApp(homelab, { charts: ownCharts }), checks };
});
