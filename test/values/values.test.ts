import { Size } from 'cdk8s';
import { Cpu } from 'cdk8s-plus-28';
import { imageProblem, ipv4, ipv4Network } from '../../values/names';
import { shown, withPlace } from '../../values/problem';
import { nearest } from '../../values/nearest';
import { bytes, cpuQuantity, memoryQuantity, millicores, parseQuantity } from '../../values/quantity';

test.each([
  [Size.gibibytes(5), '5Gi'],
  [Size.mebibytes(384), '384Mi'],
  [Size.mebibytes(2048), '2Gi'],
  [Size.tebibytes(1), '1Ti'],
  [Size.gibibytes(0.5), '512Mi'],
])('prints a size as the API server does', (size, text) => {
  expect(memoryQuantity(bytes(size))).toBe(text);
  expect(parseQuantity(text)).toBe(bytes(size));
});

test.each([
  [Cpu.millis(250), '250m'],
  [Cpu.units(2), '2'],
  [Cpu.units(0.5), '500m'],
  [Cpu.millis(1000), '1'],
])('prints cores as the API server does', (cpu, text) => {
  expect(cpuQuantity(millicores(cpu))).toBe(text);
  expect(parseQuantity(text) * 1000).toBe(millicores(cpu));
});

test.each([22, NaN, null, undefined, Size.gibibytes(NaN), Size.gibibytes(0), Size.gibibytes(0.3), { amount: '1' }])(
  'rejects %p as a size',
  (value) => {
    expect(() => bytes(value as Size)).toThrow('must be a Size of at least 1 KiB');
  },
);

test.each([2, null, Cpu.units(-1), Cpu.units(NaN), Cpu.units(0), Cpu.units(0.0001)])(
  'rejects %p as a number of cores',
  (value) => {
    expect(() => millicores(value as Cpu)).toThrow('must be a Cpu of at least 1 millicore');
  },
);

test.each(['1.2.3', '01.2.3.4', '1.2.3.256', '1.2.3.4 ', '', 5])('rejects %p as an IPv4 address', (value) => {
  expect(ipv4(value)).toBeUndefined();
});

test('computes the first and the last address of a network', () => {
  expect(ipv4Network('192.168.1.0/30')).toEqual({ first: 3232235776, last: 3232235779 });
  for (const bad of ['192.168.1.1/24', '192.168.1.0/33', '192.168.1.0', '192.168.1.0/24/1'])
    expect(ipv4Network(bad)).toBeUndefined();
});

const HEX = 'abcdef0123456789'.repeat(8);

test.each([
  'a:1',
  'ghcr.io/o/a:1.2',
  'localhost:5000/a:1',
  'localhost/x:1',
  '192.168.1.5:5000/team/x:v1.0_rc-1',
  '[fd00::5]:5000/x:1',
  'GHCR.io/owner/x:1',
  'registry-1.home.arpa:65535/a.b/c__d/e---f:1',
  `o/${'x'.repeat(253)}:${'t'.repeat(128)}`,
  `a@sha256:${HEX.slice(0, 64)}`,
  `a@sha384:${HEX.slice(0, 96)}`,
  `ghcr.io/o/a:1@sha512:${HEX}`,
])('accepts %s as an image with an exact version', (image) => {
  expect(imageProblem(image, 'image')).toBeUndefined();
});

/** Each was compared with ParseDockerRef of github.com/distribution/reference 0.6.0, which rejects it or reads another image. */
test.each([
  ['a', 'pin the version that you tested'],
  ['a:latest', 'pin the version that you tested'],
  ['localhost:5000/a', 'pin the version that you tested'],
  ['a:', 'a tag of 1 to 128'],
  [`a:${'t'.repeat(129)}`, 'a tag of 1 to 128'],
  ['a:-1', 'a tag of 1 to 128'],
  ['A:1', 'upper case letter; write it in lower case: a'],
  ['ghcr.io/Owner/X:1', 'upper case letter; write it in lower case: owner/x'],
  ['Owner/x:1', 'upper case letter; write it in lower case: owner/x'],
  ['https://ghcr.io/owner/x:1.0', 'leave out https://'],
  ['docker://x:1', 'leave out docker://'],
  ['ghcr.io//owner/x:1', 'remove the empty part'],
  ['a//b:1', 'remove the empty part'],
  ['ghcr.io/x/:1', 'remove the empty part'],
  ['/x:1', 'remove the empty part'],
  ['x-:1', 'write the repository with'],
  ['x..y:1', 'write the repository with'],
  ['x___y:1', 'write the repository with'],
  ['a/-b:1', 'write the repository with'],
  ['ghcr.io:http/x:1', 'correct the registry ghcr.io:http'],
  ['ghcr.io:/x:1', 'correct the registry ghcr.io:'],
  ['-a.io/x:1', 'correct the registry -a.io'],
  ['ghcr.io:70000/x:1', 'correct the port 70000'],
  ['a b:1', 'remove the white space'],
  ['a:1\n', 'remove the white space'],
  [`${'x'.repeat(248)}:1`, 'shorten the repository to 247'],
  [`o/${'x'.repeat(254)}:1`, 'shorten the repository to 255'],
  [`a:latest@sha256:${HEX.slice(0, 63)}`, 'give the whole digest'],
  [`a@sha256:${HEX.slice(0, 64).toUpperCase()}`, 'give the whole digest'],
  [`a@md5:${HEX.slice(0, 32)}`, 'give the whole digest'],
  [`a:1@sha256:${HEX.slice(0, 64)}@sha256:${HEX.slice(0, 64)}`, 'write one @'],
  [5, 'write it in quotes'],
])('rejects %p as an image with an exact version', (image, fix) => {
  expect(imageProblem(image, 'image')).toContain('image must be an image with an exact version, got ');
  expect(imageProblem(image, 'image')).toContain(fix);
});

test.each([
  ['LEVLE', 'LEVEL'],
  ['serach', 'search'],
  ['replica', 'replicas'],
  ['Memory', 'memory'],
  ['conects', 'connects'],
  ['mail', undefined],
  ['x', undefined],
  ['', undefined],
  [5, undefined],
])('suggests for %p the word %p', (word, meant) => {
  expect(nearest(word, ['LEVEL', 'search', 'replicas', 'memory', 'connects', 'git'])).toBe(meant);
});

test("adds the line of the owner's file to an error of another package, and to no error of ours", () => {
  const error = new Error('Storage amounts cannot be negative. Received: -1');
  error.stack = `Error: x
    at Size.gibibytes (/home/o/lab/node_modules/cdk8s/src/size.ts:9:1)
    at Object.<anonymous> (/home/o/lab/homelab.ts:23:15)
    at node:internal/modules:1:1`;
  expect(withPlace(error)).toBe('homelab.ts:23:15: Storage amounts cannot be negative. Received: -1');
  error.stack = error.stack.replace('/node_modules/cdk8s/src/size.ts', '/inventory/define.ts');
  expect(withPlace(error)).toBe('Storage amounts cannot be negative. Received: -1');
});

test('prints any value on one line', () => {
  const cyclic: Record<string, unknown> = {};
  cyclic.self = cyclic;
  expect(shown(cyclic)).toBe('something that cannot be shown');
  expect(shown('a\u001b[31m\u202e\n')).toBe('"a\\u001b[31m\\u202e\\n"');
  expect(shown(-0)).toBe('-0');
  expect(shown({ big: 1n })).toBe('something that cannot be shown');
});
