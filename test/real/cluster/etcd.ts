import type { ControlPlane } from './control-plane';

/** Everything that an API server keeps, as etcd has it: key to value, both in base64. */
export type EtcdContent = ReadonlyMap<string, string>;

const RANGE = { key: base64('/registry/'), range_end: base64('/registry0') };

/** What a control plane holds now. */
export async function contentOf({ etcd }: ControlPlane): Promise<EtcdContent> {
  const { kvs = [] } = await ask(etcd, 'range', RANGE);
  return new Map((kvs as { key: string; value: string }[]).map(({ key, value }) => [key, value]));
}

/** Takes a control plane back to what it held. Its API server and controllers see that as ordinary changes. */
export async function restoreContent(plane: ControlPlane, wanted: EtcdContent): Promise<void> {
  const now = await contentOf(plane);
  // Leases of the controllers go on as they are.
  const counts = (key: string) => !/^\/registry\/(leases|events|masterleases)\//.test(text(key));
  for (const key of now.keys()) if (counts(key) && !wanted.has(key)) await ask(plane.etcd, 'deleterange', { key });
  for (const [key, value] of wanted)
    if (counts(key) && now.get(key) !== value) await ask(plane.etcd, 'put', { key, value });
}

async function ask(server: string, what: string, body: object): Promise<Record<string, any>> {
  const answer = await fetch(`${server}/v3/kv/${what}`, { method: 'POST', body: JSON.stringify(body) });
  if (!answer.ok) throw new Error(`etcd ${what}: ${answer.status} ${await answer.text()}`);
  return (await answer.json()) as Record<string, any>;
}

function base64(key: string): string {
  return Buffer.from(key).toString('base64');
}

function text(key: string): string {
  return Buffer.from(key, 'base64').toString();
}
