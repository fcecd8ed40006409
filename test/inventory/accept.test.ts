import { homelabApp } from '../../charts';
import { defineHomelab, HomelabError } from '../../inventory';
import { render } from '../../synth';
import { changed } from '../homelab';

const good = { what: 'cassandra.racks', from: 'r1, r2', to: 'r1', on: '2026-11-27', because: 'copied and read back' };
const everything = { what: 'everything', from: '1a2b3c4', on: '2024-02-29', because: 'nothing of it runs yet' };

function problems(...accept: readonly object[]): readonly string[] {
  try {
    defineHomelab(changed((h) => (h.accept = accept)));
    return [];
  } catch (error) {
    return (error as HomelabError).problems;
  }
}

test('accepts the entry that an error prints, with a reason', () => {
  expect(problems(good, everything)).toEqual([]);
});

test.each([
  [
    { ...good, because: '' },
    'accept[0].because must be the reason why no data is lost, in at least three words, got ""',
  ],
  [{ ...good, because: 'is fine' }, 'accept[0].because must be the reason'],
  [
    { ...good, on: '2026-02-30' },
    'accept[0].on must be a day, got "2026-02-30" (allowed: YYYY-MM-DD); write it like 2026-11-27',
  ],
  [{ ...good, on: 'today' }, 'accept[0].on must be a day'],
  [{ ...good, what: '' }, 'accept[0].what must be text on one line'],
  [{ ...good, from: undefined }, 'accept[0].from must be text on one line, but it is missing'],
  [
    { ...good, to: undefined },
    'accept[0].to must be the new value of cassandra.racks, but it is missing; copy the entry that synth prints with the error',
  ],
  [{ ...good, reason: 'x' }, 'accept[0]'],
  [{ ...everything, from: 'HEAD' }, 'accept[0].from must be the first 7 or more digits of the tree of dist/'],
  [{ ...everything, from: '1a2b3' }, 'accept[0].from must be the first 7'],
  [{ ...everything, to: 'x' }, "accept[0].to must be left out for what: 'everything'"],
])('rejects %j', (entry, problem) => {
  expect(problems(entry).join('\n')).toContain(problem);
});

test('renders nothing', () => {
  const rendered = (accept?: object[]) => render(homelabApp(defineHomelab(changed((h) => (h.accept = accept)))));
  expect(JSON.stringify(rendered([good, everything]))).toBe(JSON.stringify(rendered()));
});
