'use strict';
// A client of mongod's protocol (OP_MSG) that keeps documents as bytes. A restore needs it, because a shell or driver
// decodes and encodes documents: integers become doubles, and keys like 10 change their position.
// Plain Node, loaded by require() in mongosh: the images have no other program for it.
const crypto = require('crypto');
const net = require('net');

/** A document as bytes, passed on unchanged. */
class Raw {
  constructor(bytes) {
    this.bytes = bytes;
  }
}

/** Encodes a command: text, integers, booleans, bytes, nested objects and lists, and Raw documents. */
function encode(object) {
  const parts = [];
  for (const [key, value] of Array.isArray(object)
    ? object.map((each, at) => [String(at), each])
    : Object.entries(object)) {
    const [type, bytes] = encoded(value);
    parts.push(Buffer.from([type]), Buffer.from(key + '\0'), bytes);
  }
  return wrapped(parts);
}

function wrapped(parts) {
  const body = Buffer.concat(parts);
  const out = Buffer.alloc(body.length + 5);
  out.writeInt32LE(out.length);
  body.copy(out, 4);
  return out;
}

function encoded(value) {
  if (value instanceof Raw) return [3, value.bytes];
  if (value instanceof Element) return [value.type, value.bytes];
  if (Buffer.isBuffer(value)) return [5, Buffer.concat([int32(value.length), Buffer.from([0]), value])];
  if (typeof value === 'string') {
    const text = Buffer.from(value + '\0');
    return [2, Buffer.concat([int32(text.length), text])];
  }
  if (typeof value === 'boolean') return [8, Buffer.from([value ? 1 : 0])];
  if (typeof value === 'bigint') {
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64LE(value);
    return [18, bytes];
  }
  if (typeof value === 'number') return [16, int32(value)];
  return [Array.isArray(value) ? 4 : 3, encode(value)];
}

function int32(number) {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(number);
  return bytes;
}

/** One value as bytes, with its type. */
class Element {
  constructor(key, type, bytes) {
    this.key = key;
    this.type = type;
    this.bytes = bytes;
  }
  get value() {
    const { type, bytes } = this;
    if (type === 1) return bytes.readDoubleLE();
    if (type === 2) return bytes.toString('utf8', 4, bytes.length - 1);
    if (type === 3) return decode(bytes);
    if (type === 4) return elements(bytes).map((each) => each.value);
    if (type === 5) return bytes.subarray(5);
    if (type === 8) return bytes[0] === 1;
    if (type === 10) return null;
    if (type === 16) return bytes.readInt32LE();
    if (type === 18) return bytes.readBigInt64LE();
    return this;
  }
}

const FIXED = { 1: 8, 6: 0, 7: 12, 8: 1, 9: 8, 10: 0, 16: 4, 17: 8, 18: 8, 19: 16, 127: 0, 255: 0 };

function lengthOf(type, bytes, at) {
  if (type in FIXED) return FIXED[type];
  if (type === 3 || type === 4 || type === 15) return bytes.readInt32LE(at);
  if (type === 2 || type === 13 || type === 14) return 4 + bytes.readInt32LE(at);
  if (type === 5) return 5 + bytes.readInt32LE(at);
  if (type === 12) return 16 + bytes.readInt32LE(at);
  if (type === 11) return bytes.indexOf(0, bytes.indexOf(0, at) + 1) + 1 - at;
  throw new Error('a document has a value of unknown type ' + type);
}

/** The values of a document in order. */
function elements(bytes) {
  const found = [];
  for (let at = 4; bytes[at] !== 0;) {
    const type = bytes[at];
    const end = bytes.indexOf(0, at + 1);
    const key = bytes.toString('utf8', at + 1, end);
    const length = lengthOf(type, bytes, end + 1);
    found.push(new Element(key, type, bytes.subarray(end + 1, end + 1 + length)));
    at = end + 1 + length;
  }
  return found;
}

function decode(bytes) {
  return Object.fromEntries(elements(bytes).map((element) => [element.key, element.value]));
}

/** A command that failed, with MongoDB's code. */
class CommandError extends Error {
  constructor(message, code) {
    super(message);
    this.code = code;
  }
}

/** One connection; one command at a time. */
class Connection {
  static async open(host, port, seconds = 10) {
    const socket = net.connect({ host, port, noDelay: true });
    const connection = new Connection(socket);
    await new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(host + ':' + port + ' does not answer within ' + seconds + ' s')),
        seconds * 1000,
      );
      socket.once('connect', () => (clearTimeout(timer), resolve()));
      socket.once('error', (error) => (clearTimeout(timer), reject(error)));
    }).catch((error) => {
      socket.destroy();
      throw error;
    });
    return connection;
  }

  constructor(socket) {
    this.socket = socket;
    this.id = 0;
    this.parts = [];
    this.length = 0;
    this.waiting = null;
    socket.on('data', (bytes) => this.arrived(bytes));
    const lost = (error) => {
      this.lost = error || new Error('the connection was closed');
      if (this.waiting) this.waiting.reject(this.lost);
      this.waiting = null;
    };
    socket.on('error', lost);
    socket.on('close', () => lost(this.lost));
  }

  arrived(bytes) {
    this.parts.push(bytes);
    this.length += bytes.length;
    if (this.length < 4) return;
    if (this.parts[0].length < 4) this.parts = [Buffer.concat(this.parts)];
    const wanted = this.parts[0].readInt32LE();
    if (this.length < wanted) return;
    const message = Buffer.concat(this.parts);
    this.parts = [];
    this.length = 0;
    const { resolve } = this.waiting;
    this.waiting = null;
    // Header, flags, and the kind of the only section.
    resolve(message.subarray(21));
  }

  /** The answer to a command as bytes. `sequence`: documents of the command, under their name. */
  async raw(db, command, sequence) {
    if (this.lost) throw this.lost;
    const body = Buffer.concat([Buffer.from([0]), encode({ ...command, $db: db })]);
    const parts = [body];
    if (sequence) {
      const name = Buffer.from(sequence.name + '\0');
      const length = 4 + name.length + sequence.documents.reduce((sum, each) => sum + each.length, 0);
      parts.push(Buffer.from([1]), int32(length), name, ...sequence.documents);
    }
    const length = 20 + parts.reduce((sum, each) => sum + each.length, 0);
    const header = Buffer.concat([int32(length), int32(++this.id), int32(0), int32(2013), int32(0)]);
    const answer = await new Promise((resolve, reject) => {
      this.waiting = { resolve, reject };
      this.socket.write(Buffer.concat([header, ...parts]));
    });
    const { ok, errmsg, code, writeErrors, writeConcernError } = decode(answer);
    if (Number(ok) !== 1) throw new CommandError(errmsg, code);
    const failed = (writeErrors && writeErrors[0]) || writeConcernError;
    if (failed) throw new CommandError(failed.errmsg, failed.code);
    return answer;
  }

  async run(db, command, sequence) {
    return decode(await this.raw(db, command, sequence));
  }

  /** Batches of documents as bytes. The next batch is asked for while the caller works on one. */
  async *batches(db, command) {
    let [first] = elements(await this.raw(db, command)).filter(({ key }) => key === 'cursor');
    for (;;) {
      const cursor = elements(first.bytes);
      const { id, ns } = decode(first.bytes);
      const batch = cursor.find(({ key }) => key === 'firstBatch' || key === 'nextBatch');
      const collection = ns.slice(ns.indexOf('.') + 1);
      const next = id === 0n ? null : this.raw(db, { getMore: id, collection });
      // Its failure is reported when the caller waits for it.
      if (next) next.catch(() => undefined);
      yield elements(batch.bytes).map(({ bytes }) => bytes);
      if (!next) return;
      [first] = elements(await next).filter(({ key }) => key === 'cursor');
    }
  }

  async all(db, command) {
    const found = [];
    for await (const batch of this.batches(db, command)) found.push(...batch);
    return found;
  }

  /** Logs in by SCRAM-SHA-256. */
  async login(user, password) {
    const nonce = crypto.randomBytes(24).toString('base64');
    const name = user.replace(/=/g, '=3D').replace(/,/g, '=2C');
    const first = 'n=' + name + ',r=' + nonce;
    const start = await this.run('admin', {
      saslStart: 1,
      mechanism: 'SCRAM-SHA-256',
      payload: Buffer.from('n,,' + first),
      options: { skipEmptyExchange: true },
    });
    const challenge = start.payload.toString();
    const { r, s, i } = Object.fromEntries(challenge.split(',').map((part) => [part[0], part.slice(2)]));
    if (!r.startsWith(nonce)) throw new Error('the server answered another login than this one');
    const mac = (key, text) => crypto.createHmac('sha256', key).update(text).digest();
    const salted = crypto.pbkdf2Sync(password, Buffer.from(s, 'base64'), Number(i), 32, 'sha256');
    const clientKey = mac(salted, 'Client Key');
    const last = 'c=biws,r=' + r;
    const text = [first, challenge, last].join(',');
    const signature = mac(crypto.createHash('sha256').update(clientKey).digest(), text);
    const proof = Buffer.from(clientKey.map((byte, at) => byte ^ signature[at])).toString('base64');
    const end = await this.run('admin', {
      saslContinue: 1,
      conversationId: start.conversationId,
      payload: Buffer.from(last + ',p=' + proof),
    });
    const expected = 'v=' + mac(mac(salted, 'Server Key'), text).toString('base64');
    if (end.payload.toString() !== expected) throw new Error('the server did not prove that it has the password');
  }

  close() {
    this.socket.destroy();
  }
}

module.exports = { Connection, CommandError, Raw, decode, elements, encode };
