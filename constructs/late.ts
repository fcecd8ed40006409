import { Lazy } from 'cdk8s';

/**
 * A value that is produced when the object is rendered, so that it includes what other constructs add later (clients,
 * keyspaces, users). A typed wrapper around `Lazy.any`, and its only caller: `any` silently drops a plain number where the API
 * expects IntOrString, and a NetworkPolicy without its port allows every port.
 *
 * Allowed in `spec`, in `data` and as one label or annotation value; never as metadata.name, labels or annotations.
 * `produce` must be pure: it runs at each rendering.
 */
export function late<T extends object | string>(produce: () => T): T {
  return Lazy.any({ produce }) as T;
}
