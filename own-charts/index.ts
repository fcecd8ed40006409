import type { OwnChart } from '../charts';

/** Charts of your own, deployed beside those of the homelab: docs/own-charts.md. One import and one entry for each. */
export const ownCharts: readonly OwnChart[] = [];
