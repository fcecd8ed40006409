import type { Risk } from '../plan';
import { storeOf, type Store } from '../stores';
import { grouped } from '../workloads';
import { earlier, listed, type View, type Workload } from './view';

/** Changed places where the pods of one workload store their backups. */
interface Found {
  readonly workload: Workload;
  readonly aspect: 'copies' | 'hostKeys';
  readonly from: string;
  readonly to: string;
}

/**
 * Backups of a database that go to a new place, account or machine key. A NetworkPolicy cannot tell a bucket from
 * another one, and does not apply to mounts of the node. The racks of a ring share one line.
 */
export function copyRisks(before: View, after: View): Risk[] {
  const found = [...after.workloads.values()].flatMap((workload) => foundOf(workload, before, after));
  const alike = grouped(found, ({ workload, aspect, from, to }) => `${workload.namespace} ${aspect} ${from} ${to}`);
  return [...alike.values()].map((all) => {
    const { workload, aspect, from, to } = all[0]!;
    const names = listed(all.map(({ workload: { name } }) => name));
    return {
      verdict: 'access',
      what: `${workload.name}.${aspect}`,
      objects: all.map(({ workload: { id } }) => id),
      from,
      to,
      problem:
        aspect === 'copies'
          ? `Copies of all data of ${names} newly go to ${to}. Everyone with the password of the repository can read them there; the owner of that place can delete them.`
          : `${names} newly trusts a machine with the key ${to}, and sends it copies of all data. Compare the key on that machine: cat /etc/ssh/ssh_host_ed25519_key.pub.`,
    };
  });
}

function foundOf(workload: Workload, before: View, after: View): Found[] {
  // A restore Job reads from the same place.
  if (workload.object.kind !== 'StatefulSet') return [];
  const is = storeOf(workload.pod, workload.namespace, after.byId);
  if (!is) return [];
  const then = earlier(workload, before);
  const was = then && storeOf(then.pod, then.namespace, before.byId);
  if (!was || storeText(was) !== storeText(is))
    return [{ workload, aspect: 'copies', from: was ? storeText(was) : 'no copies', to: storeText(is) }];
  const fresh = is.hostKeys.filter((key) => !was.hostKeys.includes(key));
  return fresh.length === 0 ? [] : [{ workload, aspect: 'hostKeys', from: listed(was.hostKeys), to: listed(fresh) }];
}

function storeText({ place, user }: Store): string {
  return user === undefined ? place : `${place} as ${user}`;
}
