import { Size } from 'cdk8s';
import { Cpu } from 'cdk8s-plus-28';
import { imageProblem, ipv4, ipv4Network } from '../../values/names';
import { bytes, cpuQuantity, memoryQuantity, millicores, parseQuantity } from '../../values/quantity';

test.each([
  [Size.gibibytes(5), '5Gi'],
  [Size.mebibytes(384), '384Mi'],
  [Size.mebibytes(2048), '2Gi'],
  [Size.tebibytes(1), '1Ti'],
  [Size.gibibytes(0.5), '512Mi'],
])('a size is printed as the API server prints it', (size, text) => {
  expect(memoryQuantity(bytes(size))).toBe(text);
  expect(parseQuantity(text)).toBe(bytes(size));
});

test.each([
  [Cpu.millis(250), '250m'],
  [Cpu.units(2), '2'],
  [Cpu.units(0.5), '500m'],
  [Cpu.millis(1000), '1'],
])('cores are printed as the API server prints them', (cpu, text) => {
  expect(cpuQuantity(millicores(cpu))).toBe(text);
  expect(parseQuantity(text) * 1000).toBe(millicores(cpu));
});

test.each([22, NaN, null, undefined, Size.gibibytes(NaN), Size.gibibytes(0), Size.gibibytes(0.3), { amount: '1' }])(
  '%p is no size',
  (value) => {
    expect(() => bytes(value as Size)).toThrow('must be a Size of at least 1 KiB');
  },
);

test.each([2, null, Cpu.units(-1), Cpu.units(NaN), Cpu.units(0), Cpu.units(0.0001)])(
  '%p is no number of cores',
  (value) => {
    expect(() => millicores(value as Cpu)).toThrow('must be a Cpu of at least 1 millicore');
  },
);

test.each(['1.2.3', '01.2.3.4', '1.2.3.256', '1.2.3.4 ', '', 5])('%p is no IPv4 address', (value) => {
  expect(ipv4(value)).toBeUndefined();
});

test('a network has its first and last address', () => {
  expect(ipv4Network('192.168.1.0/30')).toEqual({ first: 3232235776, last: 3232235779 });
  for (const bad of ['192.168.1.1/24', '192.168.1.0/33', '192.168.1.0', '192.168.1.0/24/1'])
    expect(ipv4Network(bad)).toBeUndefined();
});

test.each([
  'a:1',
  'ghcr.io/o/a:1.2',
  'localhost:5000/a:1',
  `a@sha256:${'0'.repeat(64)}`,
  `ghcr.io/o/a:1@sha256:${'0'.repeat(64)}`,
])('%s has an exact version', (image) => {
  expect(imageProblem(image, 'image')).toBeUndefined();
});

test.each(['a', 'a:latest', 'localhost:5000/a', 'a:', 'A:1', `a:latest@sha256:${'0'.repeat(63)}`])(
  '%s has none',
  (image) => {
    expect(imageProblem(image, 'image')).toContain('must be an image with an exact version');
  },
);
