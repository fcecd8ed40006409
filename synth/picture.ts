import {
  backupHost,
  backupOf,
  machineOfDisk,
  neededDisks,
  machinesOf,
  modelBudget,
  isOwn,
  NAMESPACES,
  targetOf,
  type Connection,
  type Host,
  type Homelab,
  type Machine,
  type Service,
  servedName,
} from '../inventory';
import { bytes, gib, sum } from '../values/quantity';
import { notesOf } from './picture-notes';

const COLUMN = 250;
const BOX = { width: 190, height: 30 } as const;
const GAP = 12;
/** Height of one line of what is said below a name. */
const NOTE = 15;
const MARGIN = 20;
const HEADING = 34;
const LINE = 17;

/** A box of the upper half: a web app, a service, a database or a model. */
interface Node {
  readonly name: string;
  readonly kind: string;
  readonly column: number;
  readonly targets: readonly string[];
  /** What is said of it below its name. */
  readonly notes: readonly string[];
}

/** The homelab as one SVG: connections, and what runs on which machine. Follows light and dark mode. */
export function picture(homelab: Homelab): string {
  const nodes = nodesOf(homelab);
  const columns = Math.max(...nodes.map(({ column }) => column)) + 1;
  const tallest = Math.max(
    ...Array.from({ length: columns }, (_, column) => heightOf(inColumn(nodes, column))),
    BOX.height,
  );
  const top = MARGIN + HEADING;
  const middle = top + tallest + GAP + MARGIN;
  const hosts = hostsAt(homelab, middle + HEADING);
  const width = Math.max(MARGIN * 2 + (columns - 1) * COLUMN + BOX.width, hosts.width);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${hosts.bottom + MARGIN}" role="img">`,
    `<title>Homelab ${escaped(homelab.name)}: who may talk to whom, and what runs where</title>`,
    `<style>${STYLE}</style>`,
    heading('Who may talk to whom', MARGIN + 16),
    ...connections(nodes, place(nodes, top, tallest)),
    ...boxes(nodes, place(nodes, top, tallest)),
    heading('What runs where', middle + 16),
    ...hosts.parts,
    '</svg>',
    '',
  ].join('\n');
}

function nodesOf(homelab: Homelab): Node[] {
  const { services, webApps, databases, llm } = homelab;
  const columns = new Map<string, number>();
  /** The longest path from a web app; services that call each other in a cycle keep their first column. */
  const visit = (name: string, column: number, path: readonly string[]): void => {
    if (path.includes(name) || (columns.get(name) ?? -1) >= column) return;
    columns.set(name, column);
    for (const next of called(services[name]!)) visit(next, column + 1, [...path, name]);
  };
  for (const webApp of Object.values(webApps)) for (const next of called(webApp)) visit(next, 1, []);
  for (const name of Object.keys(services)) if (!columns.has(name)) visit(name, 1, []);
  const last = Math.max(0, ...columns.values()) + 1;
  const names = (connects: readonly Connection[]) => connects.map((connection) => pictured(connection).join(' '));
  const all = [...Object.values(webApps), ...Object.values(services)].flatMap(({ connects }) => connects);
  const outside = new Map(
    all
      .map(pictured)
      .filter(([kind]) => ['internet', 'address', 'own'].includes(kind))
      .map((each) => [each.join(' '), each]),
  );
  return [
    ...Object.entries(webApps).map(([name, { connects }]) =>
      node(name, 'web', 0, names(connects), notesOf(homelab, 'webApps', name)),
    ),
    ...Object.entries(services).map(([name, { connects }]) =>
      node(name, 'service', columns.get(name)!, names(connects), notesOf(homelab, 'services', name)),
    ),
    ...Object.entries(databases).map(([name, { kind }]) => node(name, kind, last, [])),
    ...Object.keys(llm?.models ?? {}).map((name) => node(name, 'model', last, [])),
    ...[...outside.values()].sort().map(([kind, name]) => node(name, kind, last, [])),
  ];
}

/** Services that a client calls, without those of other namespaces. */
function called({ connects }: Service): string[] {
  return connects.flatMap((connection) => {
    const [kind, name] = pictured(connection);
    return kind === 'service' ? [name] : [];
  });
}

/** Kind and name of a target. Clients may name an address differently, so it is shown by itself. */
function pictured(connection: Connection): readonly [kind: string, name: string] {
  if ('service' in connection && connection.namespace !== undefined && connection.namespace !== NAMESPACES.services)
    return isOwn(connection) ? ['own', `${connection.namespace}/${connection.service}`] : ['web', connection.service];
  return 'address' in connection ? ['address', connection.address] : targetOf(connection);
}

function node(
  name: string,
  kind: string,
  column: number,
  targets: readonly string[],
  notes: readonly string[] = [],
): Node {
  return { name, kind, column, targets, notes };
}

function inColumn(nodes: readonly Node[], column: number): readonly Node[] {
  return nodes.filter((each) => each.column === column);
}

type Place = (node: Node) => { readonly x: number; readonly y: number };

/** Height of boxes that stand below each other. */
function heightOf(nodes: readonly Node[]): number {
  return sum(nodes.map(({ notes }) => BOX.height + notes.length * NOTE)) + Math.max(0, nodes.length - 1) * GAP;
}

/** Each column is centered. */
function place(nodes: readonly Node[], top: number, tallest: number): Place {
  return (node) => {
    const column = inColumn(nodes, node.column);
    const start = top + (tallest - heightOf(column)) / 2;
    const above = column.slice(0, column.indexOf(node));
    const y = start + heightOf(above) + (above.length > 0 ? GAP : 0);
    return { x: MARGIN + node.column * COLUMN, y };
  };
}

function connections(nodes: readonly Node[], at: Place): string[] {
  return nodes.flatMap((from) =>
    from.targets.map((target) => {
      const to = nodes.find(({ kind, name }) => `${kind} ${name}` === target)!;
      const [start, end] = [at(from), at(to)];
      const [x1, y1, x2, y2] = [start.x + BOX.width, start.y + heightOf([from]) / 2, end.x, end.y + heightOf([to]) / 2];
      const bend = COLUMN - BOX.width;
      return `<path class="${to.kind}" d="M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}"/>`;
    }),
  );
}

function boxes(nodes: readonly Node[], at: Place): string[] {
  return nodes.map((each) => {
    const { x, y } = at(each);
    const label = each.kind === 'model' ? `model ${each.name}` : each.name;
    const center = x + BOX.width / 2;
    return [
      box(x, y, BOX.width, heightOf([each]), each.kind),
      text(label, center, y + 20, 'middle'),
      ...each.notes.map((note, index) => text(note, center, y + 20 + (index + 1) * NOTE, 'middle', 'note')),
    ].join('');
  });
}

function hostsAt(homelab: Homelab, top: number): { parts: string[]; width: number; bottom: number } {
  const parts: string[] = [];
  const machineWidth = widest(homelab);
  let y = top;
  let width = 0;
  for (const [name, host] of Object.entries(homelab.hosts)) {
    const machines = machinesOf(homelab, name).map(([each, machine]) => machineLines(homelab, each, machine));
    const lines = Math.max(0, ...machines.map((each) => each.length));
    const notes = hostNotes(homelab, host);
    const height = 30 + notes.length * LINE + (lines === 0 ? 0 : lines * LINE + 26);
    const inner = Math.max(1, machines.length) * (machineWidth + 10) + 10;
    parts.push(box(MARGIN, y, Math.max(inner, 2 * machineWidth), height, 'host'));
    parts.push(text(`${name}: ${hostWords(host)}`, MARGIN + 12, y + 20, 'start', 'strong'));
    parts.push(...notes.map((note, index) => text(note, MARGIN + 12, y + 20 + (index + 1) * LINE)));
    machines.forEach((each, index) => {
      const x = MARGIN + 10 + index * (machineWidth + 10);
      const from = y + 32 + notes.length * LINE;
      parts.push(box(x, from, machineWidth, lines * LINE + 14, 'machine'));
      parts.push(
        ...each.map((line, row) => text(line, x + 10, from + 19 + row * LINE, 'start', row === 0 ? 'strong' : '')),
      );
    });
    width = Math.max(width, inner + MARGIN * 2, 2 * machineWidth + MARGIN * 2);
    y += height + 12;
  }
  return { parts, width, bottom: y - 12 };
}

/** Width of every box of a machine: that of the longest line, at some 7 units a character. */
function widest(homelab: Homelab): number {
  const lines = Object.entries(homelab.machines).flatMap(([name, machine]) => machineLines(homelab, name, machine));
  return Math.max(160, ...lines.map((line) => line.length * 7 + 16));
}

function hostWords(host: Host): string {
  return `${host.model}, ${gib(bytes(host.memory))}, ${host.address}`;
}

/** Databases whose backups are stored on a host. */
function hostNotes(homelab: Homelab, { address }: Host): string[] {
  const kept = Object.entries(homelab.databases).filter(([, database]) => {
    const backup = backupOf(homelab, database);
    return backup !== undefined && backupHost(homelab, backup) === address;
  });
  return kept.length === 0 ? [] : [`encrypted backups of ${kept.map(([name]) => name).join(', ')}`];
}

function machineLines(homelab: Homelab, name: string, machine: Machine): string[] {
  const size = `${gib(bytes(machine.memory))}, ${machine.cores} cores`;
  const what = machine.kind === 'talos' ? `Talos ${machine.role}` : `Ubuntu ${machine.release}`;
  const { llm } = homelab;
  const models =
    llm?.machine === name ? Object.entries(llm.models).map(([each, model]) => servedName(each, model)) : [];
  const budget = llm?.machine === name ? modelBudget(homelab) : undefined;
  const together = sum((budget?.models ?? []).map(({ memory }) => memory.total));
  const share = budget === undefined ? [] : [`models: at most ${gib(together)} of ${gib(budget.room)}`];
  const disks = neededDisks(homelab).flatMap(({ disk }) => (machineOfDisk(homelab, disk)[0] === name ? [disk] : []));
  return [name, what, size, machine.address, ...disks, ...models, ...share];
}

function heading(words: string, y: number): string {
  return text(words, MARGIN, y, 'start', 'heading');
}

function box(x: number, y: number, width: number, height: number, kind: string): string {
  return `<rect class="${kind}" x="${x}" y="${y}" width="${width}" height="${height}" rx="6"/>`;
}

function text(words: string, x: number, y: number, anchor: 'start' | 'middle' = 'start', kind = ''): string {
  return `<text${kind && ` class="${kind}"`} x="${x}" y="${y}" text-anchor="${anchor}">${escaped(words)}</text>`;
}

function escaped(words: string): string {
  return words.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
}

const KINDS = {
  service: '#3b7dd8',
  cassandra: '#c2571a',
  mongodb: '#2f8f4e',
  model: '#8a4fc7',
  web: '#6b7280',
  internet: '#b91c1c',
  address: '#b45309',
  own: '#0f766e',
};

const STYLE = [
  'text{font:13px system-ui,sans-serif;fill:#1f2937}.heading{font-size:16px;font-weight:600}.strong{font-weight:600}.note{font-size:11px}',
  'rect{fill:#fff;stroke:#9ca3af}path{fill:none;stroke-width:1.3;opacity:.65}.host{fill:#f3f4f6}',
  ...Object.entries(KINDS).map(([kind, color]) => `.${kind}{stroke:${color}}`),
  '@media(prefers-color-scheme:dark){text{fill:#e5e7eb}rect{fill:#1f2937}.host{fill:#111827}}',
].join('');
