import { Size } from 'cdk8s';
import { Cpu, k8s } from 'cdk8s-plus-28';
import type { IConstruct } from 'constructs';
import type { ExtraContainers } from '../values/containers';
import { textVariables } from './env';
import { filled } from './rendering';
import { resourceRequirements } from './resources';
import { fail } from './validation';

/** Init containers, and sidecars, which start with them and run as long as the pod. */
export interface ExtraContainerProps {
  readonly initContainers?: ExtraContainers;
  readonly sidecars?: ExtraContainers;
}

/**
 * Renders further containers after the pattern of the service's own. Sidecars are init containers that restart: they are ready to
 * serve the init containers, end after the service, and do not keep a job from its end. They come first, so that all can use them.
 */
export function extraContainers(
  scope: IConstruct,
  own: k8s.Container,
  { initContainers = {}, sidecars = {} }: ExtraContainerProps,
): k8s.Container[] {
  return [...Object.entries(sidecars), ...Object.entries(initContainers)].map(([name, given]): k8s.Container => {
    if (name === own.name)
      fail(scope, {
        what: 'a further container must have a name of its own',
        got: name,
        fix: 'rename it: the service has this name',
      });
    const more = textVariables(given.env);
    // In the place of those that it overrides: the kubelet resolves references in the order of the list.
    const inPlace = (own.env ?? []).map((each) => more.find((other) => other.name === each.name) ?? each);
    const env = [...inPlace, ...more.filter((each) => !inPlace.includes(each))];
    return {
      name,
      image: given.image ?? own.image,
      command: given.command && [...given.command],
      args: filled(given.args),
      env: env.length > 0 ? env : undefined,
      resources: resourceRequirements(scope, {
        memory: given.memory ?? Size.mebibytes(64),
        cpu: given.cpu ?? Cpu.millis(10),
      }),
      restartPolicy: Object.hasOwn(sidecars, name) ? 'Always' : undefined,
      securityContext: own.securityContext,
      volumeMounts: own.volumeMounts,
    };
  });
}
