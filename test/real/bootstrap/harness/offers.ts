import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import type { Homelab } from '../../../../inventory';
import { ARGO_CD_MANIFESTS, argoCdManifest, ollamaRelease, OLLAMA_VERSION } from '../../../../machines/pins';
import { MODULES } from '../../cluster/binaries';
import { go } from '../../modules';
import { offerImages } from '../simulator/images';
import type { Lab } from './lab';
import { offerOllama } from '../simulator/programs/ollama';

const KEY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAbCdEfGhIjKlMnOpQrStUvWxYz0123456789AbCdEf owner@mac';

/** What the internet has for the homelab, and an owner's key in homelab.ts. Digests in the clone's pins are those of it. */
export function offerAll({ simulation, workspace }: Lab, homelab: Homelab): void {
  workspace.edit(homelab.access!.sshKeys[0]!, KEY);
  offerImages(simulation, homelab, workspace.path);
  offerOllama(simulation, ollamaRelease(OLLAMA_VERSION));
  const module = 'github.com/argoproj/argo-cd/v3';
  const source = go(join(MODULES, 'argo-cd'), ['list', '-m', '-f', '{{.Dir}}', module]).trim();
  const manifest = join(source, 'manifests', 'install.yaml');
  const { argoCd } = homelab.versions;
  simulation.urls[argoCdManifest(argoCd)] = fs.readFileSync(manifest);
  const digest = execFileSync('sha256sum', [manifest]).toString().split(' ')[0]!;
  const pins = join(workspace.path, 'machines/pins.ts');
  fs.writeFileSync(pins, fs.readFileSync(pins, 'utf8').replace(ARGO_CD_MANIFESTS[argoCd]!, digest));
}
