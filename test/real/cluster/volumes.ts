import { spawnSync } from 'node:child_process';
import type { ControlPlane } from './control-plane';
import { until } from './processes';
import { claimsBound, type Ground } from './points';
import { databasePods } from '../../../inventory';
import { Workspace } from '../workspace';

/**
 * 3, continued. A recreated claim does not bind while its volume refers to the old one; `rebind` clears it. The
 * test calls nothing else.
 */
export async function rebind({ client, tally, homelab }: Ground, plane: ControlPlane): Promise<void> {
  const [namespace, database] = Object.entries(homelab.databases)[0]!;
  const pod = databasePods(namespace, database).at(-1)!;
  const claim = { apiVersion: 'v1', kind: 'PersistentVolumeClaim', metadata: { name: `data-${pod}`, namespace } };
  const podObject = { apiVersion: 'v1', kind: 'Pod', metadata: { name: pod, namespace } };
  const old = (await client.get(claim))!.metadata.uid;
  await client.delete(claim);
  await client.delete(podObject);
  const anew = await until('the claim is made anew', 30, async () => {
    const found = await client.get(claim);
    return found && found.metadata.uid !== old ? found : undefined;
  });
  await new Promise((resolve) => setTimeout(resolve, 3_000));
  const phase = (await client.get(claim))!.status.phase;
  tally.check(`a recreated claim does not bind while its volume refers to the old one`, phase !== 'Bound', phase);
  const { status, stdout, stderr } = runRebind(plane.kubeconfig, pod);
  tally.check(`npm run homelab -- rebind ${pod} clears it`, status === 0, `${stdout}${stderr}`);
  tally.check(
    'it shows disk, volume and claim first',
    [
      `disk    ${pod}`,
      `volume  ${namespace}-data-${pod}, refers to claim ${old}`,
      `claim   ${namespace}/data-${pod}, ${anew.metadata.uid}`,
    ].every((line) => stdout.includes(line)),
    stdout,
  );
  await until('the new claim binds', 30, async () => (await client.get(claim))?.status.phase === 'Bound');
  await until('its pod runs', 60, async () => (await client.get(podObject))?.status.phase === 'Running');
  await claimsBound({ client, tally });
  const again = runRebind(plane.kubeconfig, pod);
  tally.check(
    'a second time it has nothing to do',
    again.status === 0 && again.stdout.includes('nothing to do'),
    again.stdout,
  );
}

/** Where homelab.ts is the one that was applied. */
function runRebind(kubeconfig: string, pod: string) {
  const workspace = new Workspace();
  const args = ['-r', 'ts-node/register', 'cli/main.ts', 'rebind', pod, `--kubeconfig=${kubeconfig}`, '--yes'];
  try {
    return spawnSync(process.execPath, args, { cwd: workspace.path, encoding: 'utf8', timeout: 60_000 });
  } finally {
    workspace.remove();
  }
}
