import { Duration } from 'cdk8s';
import { defaultProbes, portsOf, probePortsProblem } from './ports';
import { containerNamesProblem } from './containers';
import { privilegesProblem } from './privileges';
import type { ScheduleOptions } from './schedule';
import { SCHEDULE_FIELDS } from './schedule';
import { missing, sentence } from './problem';
import type { ServiceOptions } from './service-options';
import { volumeProblems } from './volumes';

/**
 * What a service is: a server answers on a port; a worker has no port and no Service, so nothing connects to it; a job runs to
 * its end by a schedule.
 */
export type ServiceKind = 'server' | 'worker' | 'job';

type Options = ServiceOptions & ScheduleOptions;

/** Default of `drain` of a server. */
export const DRAIN = Duration.seconds(5);
/** Default of `terminationGracePeriod`, which is that of Kubernetes. */
export const GRACE = Duration.seconds(30);

/** Fields that a kind has no use for, and why. */
const NOT_FOR: Readonly<Record<ServiceKind, Partial<Record<keyof Options, string>>>> = {
  server: every(Object.keys(SCHEDULE_FIELDS), 'a server runs all the time'),
  worker: {
    ...every(Object.keys(SCHEDULE_FIELDS), 'a worker runs all the time'),
    port: 'a worker listens on no port',
    ports: 'a worker listens on no port',
    drain: 'a worker leaves no Service',
  },
  job: {
    port: 'a job listens on no port',
    ports: 'a job listens on no port',
    drain: 'a job leaves no Service',
    beforeRollout: 'nothing of it runs between two runs',
    probes: 'a job ends by itself, and `deadline` ends one that hangs',
    replicas: 'a job runs in one pod',
    autoscaling: 'a job runs in one pod',
    volumes: 'the pods of a job come and go, and `scratch` is what one run needs',
  },
};

function every(fields: readonly string[], reason: string): Record<string, string> {
  return Object.fromEntries(fields.map((field) => [field, reason]));
}

/** What is wrong with fields together, as sentences. `at` gives the place of a field. */
export function togetherProblems(options: Options, at: (field: string) => string): string[] {
  const { kind = 'server', probes, replicas, autoscaling } = options;
  const problems = Object.entries(NOT_FOR[kind])
    .filter(([field]) => options[field as keyof Options] !== undefined)
    .map(([field, reason]) =>
      sentence({
        what: `${at(field)} must be left out of a ${kind}: ${reason}`,
        got: options[field as keyof Options],
        fix: `remove it, or ${OTHER_KIND[kind]}`,
      }),
    );
  if (kind === 'job' && options.schedule === undefined)
    problems.push(missing(SCHEDULE_FIELDS.schedule(undefined, at('schedule'))!));
  if (kind === 'worker' && probes?.live !== undefined && !('exec' in probes.live))
    problems.push(
      sentence({
        what: `${at('probes')} must be Probes.exec or Probes.none for a worker: it listens on no port`,
        got: Object.keys(probes.live)[0],
        fix: "write Probes.exec({ live: ['...'] }), leave it out, or remove kind: 'worker'",
      }),
    );
  problems.push(...portProblems(options, at));
  problems.push(...[privilegesProblem(options, at), containerNamesProblem(options, at)].flatMap((each) => each ?? []));
  if (replicas !== undefined && autoscaling !== undefined)
    problems.push(
      sentence({
        what: `${at('replicas')} must be left out with autoscaling`,
        got: { replicas, autoscaling },
        fix: 'remove it: the autoscaler sets it',
      }),
    );
  return [...problems, ...volumeProblems(options, at)];
}

/** A port that probes and connections can use, and time to drain. */
function portProblems({ kind = 'server', ...options }: Options, at: (field: string) => string): string[] {
  if (kind !== 'server') return [];
  const { port, ports, probes, drain = DRAIN, terminationGracePeriod = GRACE } = options;
  const all = portsOf(options);
  const found = [
    port !== undefined && ports !== undefined
      ? sentence({ what: `${at('port')} must be left out with ports`, got: port, fix: 'put it into ports, first' })
      : undefined,
    probes && probePortsProblem(probes, all, at('probes')),
    probes === undefined && defaultProbes(all) === undefined
      ? sentence({
          what: `${at('probes')} must be given when all ports are UDP`,
          got: undefined,
          fix: "write Probes.exec({ live: ['...'] }), or Probes.none with the reason",
        })
      : undefined,
    drain.toSeconds() > 0 && drain.toSeconds() >= terminationGracePeriod.toSeconds()
      ? sentence({
          what: `${at('drain')} must be shorter than terminationGracePeriod, ${terminationGracePeriod.toSeconds()} s`,
          got: `${drain.toSeconds()} s`,
          fix: 'raise terminationGracePeriod: what remains of it after the drain is the time between SIGTERM and SIGKILL',
        })
      : undefined,
  ];
  return found.flatMap((problem) => problem ?? []);
}

const OTHER_KIND: Readonly<Record<ServiceKind, string>> = {
  server: "write kind: 'job'",
  worker: "remove kind: 'worker'",
  job: "remove kind: 'job' and its schedule",
};
