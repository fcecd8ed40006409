import { Lazy } from 'cdk8s';

/**
 * A value that is produced when the object is rendered, so that what other constructs add later (clients, keyspaces,
 * users) is in it. A typed cast over `Lazy.any`, and its only caller: inside `any` a plain number where the API wants
 * IntOrString vanishes without a word, and a network policy without its port allows every port.
 *
 * It may stand in `spec`, in `data` and as one label or annotation value; never as metadata.name, labels or annotations.
 * `produce` must be pure: it runs at each rendering.
 */
export function late<T extends object | string>(produce: () => T): T {
  return Lazy.any({ produce }) as T;
}
