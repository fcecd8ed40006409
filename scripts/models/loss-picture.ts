import type { Loss, TrainingResult } from './training';

const WIDTH = 720;
const HEIGHT = 320;
const LEFT = 56;
const RIGHT = 16;
const TOP = 40;
const BOTTOM = 40;
const TRAIN = '#1f77b4';
const VALID = '#d62728';

type Series = readonly (readonly [iteration: number, loss: number])[];

/** Draws the loss curves of a training as SVG. The same training gives the same bytes. */
export function lossPicture({ name, losses, best }: Pick<TrainingResult, 'name' | 'losses' | 'best'>): string {
  const train = seriesOf(losses, 'train');
  const valid = seriesOf(losses, 'valid');
  const iterations = Math.max(1, ...losses.map(({ iteration }) => iteration));
  const ticks = niceTicks(Math.max(...[...train, ...valid].map(([, loss]) => loss), 0));
  const top = ticks.at(-1)!;
  const x = (iteration: number) => round(LEFT + (iteration / iterations) * (WIDTH - LEFT - RIGHT));
  const y = (loss: number) => round(HEIGHT - BOTTOM - (loss / top) * (HEIGHT - TOP - BOTTOM));
  const line = (series: Series, color: string) =>
    `<polyline fill="none" stroke="${color}" stroke-width="2" points="${series.map(([at, loss]) => `${x(at)},${y(loss)}`).join(' ')}"/>`;
  const end = HEIGHT - BOTTOM;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12" role="img">`,
    `<title>Loss of ${escaped(name)}</title>`,
    `<desc>Best validation loss ${number(best.loss)} at iteration ${best.iteration}.</desc>`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#ffffff"/>`,
    ...ticks.flatMap((tick) => [
      `<line x1="${LEFT}" y1="${y(tick)}" x2="${WIDTH - RIGHT}" y2="${y(tick)}" stroke="#dddddd"/>`,
      `<text x="${LEFT - 8}" y="${y(tick) + 4}" text-anchor="end">${number(tick)}</text>`,
    ]),
    ...[0, 0.25, 0.5, 0.75, 1]
      .map((part) => Math.round(part * iterations))
      .filter((at, index, all) => all.indexOf(at) === index)
      .map((at) => `<text x="${x(at)}" y="${end + 18}" text-anchor="middle">${at}</text>`),
    `<text x="${WIDTH - RIGHT}" y="${HEIGHT - 6}" text-anchor="end">iteration</text>`,
    line(train, TRAIN),
    line(valid, VALID),
    `<circle cx="${x(best.iteration)}" cy="${y(best.loss)}" r="4" fill="${VALID}"/>`,
    `<text x="${LEFT}" y="22" fill="${TRAIN}">training</text>`,
    `<text x="${LEFT + 70}" y="22" fill="${VALID}">validation, best ${number(best.loss)} at ${best.iteration}</text>`,
    '</svg>',
    '',
  ].join('\n');
}

function seriesOf(losses: readonly Loss[], key: 'train' | 'valid'): Series {
  return losses.flatMap((each) => (each[key] === undefined ? [] : [[each.iteration, each[key]] as const]));
}

/** From 0 to at least the highest loss, in 4 to 8 steps of 1, 2 or 5 times a power of ten. */
function niceTicks(highest: number): number[] {
  const most = highest > 0 ? highest : 1;
  const power = 10 ** Math.floor(Math.log10(most / 4));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((each) => most / each <= 8)!;
  return Array.from({ length: Math.ceil(most / step - 1e-9) + 1 }, (_, index) =>
    Number((index * step).toPrecision(12)),
  );
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

function number(value: number): string {
  return String(Number(value.toFixed(3)));
}

function escaped(text: string): string {
  return text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');
}
