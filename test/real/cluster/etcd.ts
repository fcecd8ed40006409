import type { ControlPlane } from './control-plane';

/** Everything that an API server keeps, as etcd has it: key to value, both in base64. */
export type EtcdContent = ReadonlyMap<string, string>;

const RANGE = { key: base64('/registry/'), range_end: base64('/registry0') };

/** What a control plane holds now. */
export async function contentOf({ etcd }: ControlPlane): Promise<EtcdContent> {
  const { kvs = [] } = await ask(etcd, 'range', RANGE);
  return new Map((kvs as { key: string; value: string }[]).map(({ key, value }) => [key, value]));
}

/** What a controller makes while it is taken away from under it must go as well. */
const ROUNDS = 5;

/** Takes a control plane back to what it held. Its API server and controllers see that as ordinary changes. */
export async function restoreContent(plane: ControlPlane, wanted: EtcdContent): Promise<void> {
  // Leases of the controllers go on as they are.
  const counts = (key: string) => !/^\/registry\/(leases|events|masterleases)\//.test(text(key));
  for (let round = 0; round < ROUNDS; round++) {
    const now = await contentOf(plane);
    const strange = [...now.keys()].filter((key) => counts(key) && !wanted.has(key));
    const different = [...wanted].filter(([key, value]) => counts(key) && now.get(key) !== value);
    if (strange.length + different.length === 0) return;
    for (const key of strange) await ask(plane.etcd, 'deleterange', { key });
    for (const [key, value] of different) await ask(plane.etcd, 'put', { key, value });
    await new Promise((done) => setTimeout(done, 100));
  }
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
