import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';

const file = (name: string) => jest.requireActual(join(__dirname, '../../constructs/files', name));
const { Connection, Raw, decode, elements, encode } = file('mongo-wire.js');
const { plan } = file('mongo-restore.js');

test('a document keeps the order of its values, and their types, as bytes', () => {
  // { 10: 1 (int32), 9: 1.0 (double), a: 1 (int64) }
  const bytes = Buffer.from('23000000103130000100000001390000000000' + '0000f03f126100010000000000000000', 'hex');
  bytes.writeInt32LE(bytes.length);
  expect(elements(bytes).map(({ key, type }: { key: string; type: number }) => [key, type])).toEqual([
    ['10', 16],
    ['9', 1],
    ['a', 18],
  ]);
  expect(decode(bytes)).toEqual({ 10: 1, 9: 1, a: 1n });
  const command = encode({ insert: 'c', documents: [new Raw(bytes)] });
  expect(command.includes(bytes)).toBe(true);
});

test('what was read is written as it was: options of a collection go into its command untouched', () => {
  const options = encode({ capped: true, size: 5n, collation: { locale: 'de' }, list: ['a', 2] });
  expect(encode(Object.fromEntries(elements(options).map((each: { key: string }) => [each.key, each])))).toEqual(
    options,
  );
});

test('a type that is not known is refused, not skipped', () => {
  expect(() => elements(Buffer.from([8, 0, 0, 0, 0x21, 0x61, 0, 0]))).toThrow('unknown type 33');
});

test('an answer that comes in pieces is put together, and a failed command says why', async () => {
  const answers = [encode({ ok: 1, n: 'x'.repeat(70_000) }), encode({ ok: 0, errmsg: 'no', code: 26 })];
  const server = createServer((socket) => {
    socket.on('data', () => {
      const body = answers.shift()!;
      const message = Buffer.concat([Buffer.alloc(21), body]);
      message.writeInt32LE(message.length);
      for (let at = 0; at < message.length; at += 1000) socket.write(message.subarray(at, at + 1000));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const connection = await Connection.open('127.0.0.1', (server.address() as AddressInfo).port);
  expect((await connection.run('admin', { ping: 1 })).n).toHaveLength(70_000);
  await expect(connection.run('admin', { ping: 1 })).rejects.toMatchObject({ message: 'no', code: 26 });
  connection.close();
  server.close();
});

test('views are made after the collections that they look at, and what MongoDB keeps for itself is left out', () => {
  const found = [
    { name: 'a', type: 'view' },
    { name: 'system.views', type: 'collection' },
    { name: 'system.buckets.t', type: 'collection' },
    { name: 't', type: 'timeseries' },
    { name: 'b', type: 'collection' },
    { name: 'system.js', type: 'collection' },
  ];
  expect(plan(found).map(({ name }: { name: string }) => name)).toEqual(['t', 'b', 'system.js', 'a']);
});
