import homelab from '../fixtures/homelab';
import { shim, sopsBinaries, talosMachinery } from './bootstrap/simulator/binaries';
import { controlPlaneBinaries, helm, isBuilt, KUBERNETES_VERSIONS } from './cluster/binaries';
import { argoCd, traefik } from './gitops/binaries';

/**
 * Builds the programs of the suites that need them, each once. The oldest Kubernetes comes last, and only where the others
 * took less than 35 minutes or --full is said: the suites say so where they do without it.
 */
const LIMIT_MINUTES = 35;
const begin = Date.now();
controlPlaneBinaries(homelab.versions.kubernetes);
argoCd();
traefik();
helm();
sopsBinaries();
talosMachinery();
shim();
const minutes = (Date.now() - begin) / 60_000;
const oldest = KUBERNETES_VERSIONS[0]!;
let passed = 8;
if (isBuilt(oldest) || minutes < LIMIT_MINUTES || process.argv.includes('--full')) {
  controlPlaneBinaries(oldest);
  passed++;
} else console.log(`Kubernetes ${oldest} is left out: the other builds took ${minutes.toFixed(0)} minutes`);
console.log(`${passed} passed, 0 failed`);
