import type { Size } from 'cdk8s';
import type { Cpu } from 'cdk8s-plus-28';
import { fieldsProblem } from './fields';
import { dnsLabelProblem, imageProblem } from './names';
import { argsProblem, commandProblem, stringProblem } from './processes';
import { sentence } from './problem';
import { cpuProblem, sizeProblem } from './quantity';
import { variableNameProblem } from './variable-names';

/** Another container of the pods of a service. It has the variables, mounts, user and limits of the service's own. */
export interface ExtraContainer {
  /** @default the image of the service */
  readonly image?: string;
  /** @default the image's */
  readonly command?: readonly string[];
  /** @default the image's */
  readonly args?: readonly string[];
  /** More environment variables, of this container alone. @default those of the service */
  readonly env?: Readonly<Record<string, string>>;
  /** Memory, as request and limit. @default 64 MiB */
  readonly memory?: Size;
  /** CPU request. @default 10m */
  readonly cpu?: Cpu;
}

/** Containers by name. */
export type ExtraContainers = Readonly<Record<string, ExtraContainer>>;

/** What is wrong with further containers, as a sentence, or undefined. */
export function containersProblem(value: unknown, what: string): string | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return sentence({
      what: `${what} must be containers by name`,
      got: value,
      fix: "write { NAME: { image: '...' } }",
    });
  const fields = {
    image: imageProblem,
    command: commandProblem,
    args: argsProblem,
    env: envProblem,
    memory: (size: unknown, place: string) => sizeProblem(size, place),
    cpu: cpuProblem,
  };
  for (const [name, container] of Object.entries(value)) {
    const problem =
      dnsLabelProblem(name, `the name ${what}.${name}`) ??
      fieldsProblem<ExtraContainer>(container, `${what}.${name}`, fields);
    if (problem !== undefined) return problem;
    if (container.image === undefined && container.command === undefined && container.args === undefined)
      return sentence({
        what: `${what}.${name} must differ from the service`,
        got: container,
        fix: 'give it an image, a command or args: otherwise it runs the service twice',
      });
  }
  return undefined;
}

function envProblem(value: unknown, what: string): string | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return sentence({ what: `${what} must be variables by name`, got: value, fix: "write { NAME: 'text' }" });
  return Object.entries(value)
    .map(
      ([name, text]) => variableNameProblem(name, `the name ${what}.${name}`) ?? stringProblem(text, `${what}.${name}`),
    )
    .find((problem) => problem !== undefined);
}

/** What is wrong with the names of all containers together, as a sentence, or undefined. */
export function containerNamesProblem(
  {
    initContainers = {},
    sidecars = {},
  }: { readonly initContainers?: ExtraContainers; readonly sidecars?: ExtraContainers },
  at: (field: string) => string,
): string | undefined {
  const twice = Object.keys(sidecars).find((name) => Object.hasOwn(initContainers, name));
  if (twice === undefined) return undefined;
  return sentence({
    what: `${at('sidecars')}.${twice} must have a name of its own`,
    got: `${twice}, which an init container has`,
    fix: 'rename one of the two',
  });
}
