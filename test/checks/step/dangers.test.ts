import { App, Chart } from 'cdk8s';
import { parse } from 'yaml';
import { planStep } from '../../../checks/step';
import type { Manifest } from '../../../checks/step/objects';
import type { Plan } from '../../../checks/step/plan';
import type { Placed, State } from '../../../checks/step/step';
import { MicroserviceDeployment } from '../../../constructs';
import { printYaml, render } from '../../../synth';
import { exitCode, firstScreen, verdictOf } from '../../../synth/plan';
import { allOf, DANGERS, HARMLESS, type Seed } from '../../fixtures/dangers';
import { renderedHomelab } from '../../homelab';

const rendering = renderedHomelab();
const before = rendering.map(({ object }) => object);
const places = new Map(rendering.map(({ object, chart, file }) => [key(object), { folder: chart, file }]));

function key({ kind, metadata }: Manifest): string {
  return `${kind} ${metadata.namespace}/${metadata.name}`;
}

function placed(object: Manifest): Placed {
  return { ...(places.get(key(object)) ?? { folder: 'services', file: `services/${object.kind}.yaml` }), object };
}

function planned(after: readonly Manifest[], was: readonly Manifest[] = before): Plan {
  const state = (objects: readonly Manifest[]): State => ({ objects: objects.map(placed), secrets: [] });
  return planStep({ before: state(was), after: state(after), kubernetes: 'v1.36.3' }, 'HEAD');
}

/** Lines of the first screen, by the family of their paragraph. */
function shownBy(plan: Plan): Map<string, string[]> {
  const found = new Map<string, string[]>();
  let family = '';
  for (const line of firstScreen(plan, { rows: 50, width: 120 }).slice(1)) {
    if (!line.startsWith('  ')) family = TITLES.find(([title]) => line.startsWith(title))?.[1] ?? 'other';
    else found.set(family, [...(found.get(family) ?? []), line]);
  }
  return found;
}

const TITLES = [
  ['Data at risk', 'data'],
  ['Refused by the API server', 'refused'],
  ['More access than before', 'access'],
  ['Restarts:', 'restart'],
] as const;

const CODES: Readonly<Record<Seed['family'], number>> = { harmless: 0, restart: 10, access: 15, refused: 20, data: 30 };

test('there are five dangers of each family, and ten harmless changes', () => {
  for (const family of ['data', 'refused', 'access', 'restart'])
    expect(DANGERS.filter((seed) => seed.family === family)).toHaveLength(5);
  expect(HARMLESS).toHaveLength(10);
});

describe('twenty dangers in one change', () => {
  const plan = planned(allOf(DANGERS)(before));
  const shown = shownBy(plan);

  test.each(DANGERS)('the first screen lists it in one line: $name ($family)', ({ family, shows }) => {
    expect(shown.get(family)?.filter((line) => shows.test(line))).toHaveLength(1);
  });

  test('the first screen is one screen', () => {
    const lines = firstScreen(plan, { rows: 50, width: 120 });
    expect(lines.length).toBeLessThanOrEqual(50);
    for (const line of lines) expect([...line].length).toBeLessThanOrEqual(120);
    expect(exitCode(plan)).toBe(30);
  });
});

test.each(DANGERS)('is also found alone: $name ($family)', ({ family, shows, change }) => {
  const plan = planned(change(before));
  expect(exitCode(plan)).toBeGreaterThanOrEqual(CODES[family]);
  expect(
    shownBy(plan)
      .get(family)
      ?.some((line) => shows.test(line)),
  ).toBe(true);
});

describe('harmless changes', () => {
  test.each(HARMLESS)('$name', ({ change }) => {
    const plan = planned(change(before));
    expect([verdictOf(plan), plan.risks]).toEqual([expect.stringMatching(/^(nothing|live)$/), []]);
    expect(exitCode(plan)).toBe(0);
  });

  test('all of them at once', () => expect(exitCode(planned(allOf(HARMLESS)(before)))).toBe(0));

  test('a comment in a file', () => {
    const after = before.map((object) => parse(`# reviewed\n${printYaml(object)}# the end\n`) as Manifest);
    expect(planned(after).changes).toEqual([]);
  });

  test('a construct with another id', () => {
    const rendered = (id: string) => {
      const app = new App();
      const image = 'ghcr.io/stefanprodan/podinfo:6.14.1';
      new MicroserviceDeployment(new Chart(app, 'services', { namespace: 'services' }), id, { name: 'chat', image });
      return render(app).map(({ object }) => object);
    };
    expect(planned(rendered('conversation'), rendered('chat')).changes).toEqual([]);
  });

  test('a file in another place', () => {
    const state = (objects: readonly Placed[]): State => ({ objects, secrets: [] });
    const moved = before.map(placed).map((each) => ({ ...each, file: each.file.replace('.yaml', '.moved.yaml') }));
    const plan = planStep({ before: state(before.map(placed)), after: state(moved) }, 'HEAD');
    expect(plan.changes).toEqual([]);
  });
});
