import { homelabApp } from '../charts';
import { waysOf, type Way } from '../checks';
import type { Homelab } from '../inventory';
import { ownCharts } from '../own-charts';
import { suggested } from '../values/nearest';
import { render } from '../synth';
import { Usage } from './usage';

/** Prints every way that the rendered policies permit: to and from the outside first. */
export async function connections([service, ...more]: readonly string[]): Promise<void> {
  if (more.length > 0 || service?.startsWith('-')) throw new Usage('npm run homelab -- connections [SERVICE]');
  const { default: homelab } = await import('../homelab');
  console.log(connectionsReport(waysOf(render(homelabApp(homelab, { charts: ownCharts }))), homelab, service));
}

/** The report. @throws Usage on a service that has no way */
export function connectionsReport(ways: readonly Way[], homelab: Homelab, service?: string): string {
  const isOf = (end: string) => end === service || end.split('/')[1] === service;
  const shown = service === undefined ? ways : ways.filter(({ from, to }) => isOf(from) || isOf(to));
  if (shown.length === 0) throw new Usage(unknown(ways, service));
  const addresses = new Map(
    Object.entries({ ...homelab.hosts, ...homelab.machines }).map(([name, { address }]) => [address, name]),
  );
  const named = (end: string) => (addresses.has(end) ? `${end} (${addresses.get(end)})` : end);
  const open = shown.filter(({ lacks }) => lacks === undefined);
  const half = shown.filter(({ lacks }) => lacks !== undefined);
  const part = (title: string, of: readonly Way[]) =>
    of.length === 0
      ? []
      : [
          title,
          ...table(of.map((way) => [named(way.from), named(way.to), way.ports, way.login ?? '', noteOf(way)])),
          '',
        ];
  return [
    ...part(
      'To and from the outside:',
      open.filter(({ outside }) => outside),
    ),
    ...part(
      'Between pods:',
      open.filter(({ outside }) => !outside),
    ),
    ...part('Rules that open nothing by themselves:', half),
    `Every pod with a policy may also ask the name server of the cluster. Nothing else is open${service === undefined ? '' : ` for ${service}`}.`,
    ...(homelab.talos.enforceNetworkPolicies
      ? []
      : ['talos.enforceNetworkPolicies is false: the cluster does not enforce any of this.']),
  ].join('\n');
}

function noteOf({ lacks, because }: Way): string {
  return lacks === undefined ? because.join('; ') : `lacks ${lacks}`;
}

function table(rows: readonly (readonly string[])[]): string[] {
  const head = ['from', 'to', 'ports', 'login', 'reason'];
  const widths = head.map((_, column) => Math.max(...[head, ...rows].map((row) => row[column]!.length)));
  return [head, ...rows].map((row) =>
    `  ${row.map((cell, column) => cell.padEnd(widths[column]!)).join('  ')}`.trimEnd(),
  );
}

function unknown(ways: readonly Way[], service: string | undefined): string {
  const names = [...new Set(ways.flatMap(({ from, to }) => [from, to]).flatMap((end) => end.split('/')[1] ?? []))];
  return `no policy names ${service}; ${suggested(service, names, `choose one of ${names.sort().join(', ')}`)}`;
}
