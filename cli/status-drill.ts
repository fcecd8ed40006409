import { age } from './status-pod';

type Json = any;

/**
 * The last restore drill of a database, from the Jobs in the cluster: those of `restore-drill` and of a schedule. A scheduled one
 * keeps its last success and its last failure.
 * @param jobs of its restores
 */
export function drillOf(name: string, jobs: readonly Json[], now: number): { line: string; problems: string[] } {
  const ended = jobs
    .filter(isDrill)
    .flatMap(({ metadata, status }) => {
      const end = (status?.conditions ?? []).find(
        ({ type, status: is }: Json) => is === 'True' && ['Complete', 'Failed'].includes(type),
      );
      if (end === undefined) return [];
      const at = Date.parse(status.completionTime ?? end.lastTransitionTime) / 1000;
      return [
        { job: metadata.name, well: end.type === 'Complete', at, took: at - Date.parse(status.startTime) / 1000 },
      ];
    })
    .sort((one, other) => other.at - one.at);
  const [last] = ended;
  const success = ended.find(({ well }) => well);
  return {
    line:
      success === undefined
        ? `no drill of its backups has succeeded: npm run homelab -- restore-drill ${name}`
        : `last drill of its backups: ${age(success.at, now)}, in ${Math.round(success.took)} s`,
    problems:
      last === undefined || last.well
        ? []
        : [
            `the last drill of its backups failed ${age(last.at, now)}: kubectl -n ${name} logs job/${last.job} --all-containers`,
          ],
  };
}

function isDrill({ spec }: Json): boolean {
  const { initContainers = [], containers } = spec.template.spec;
  return [...initContainers, ...containers].some(({ env = [] }: Json) =>
    env.some(({ name, value }: Json) => name === 'RESTORE_DRILL' && value === 'yes'),
  );
}
