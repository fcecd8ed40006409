import { declaredSecretProblem, keysOfSecret, Secret, secretsProblem, secretVariable } from '../../values/secret';

const wrong: [string, Record<string, unknown>, string][] = [
  [
    'a value in the place of a secret, without showing it',
    { PASSWORD: 'hunter2-of-the-mail-account' },
    'secrets.PASSWORD must be a Secret, got "text, which is not shown" (allowed: Secret.generated, .bytes, .sshKey, .keyPair, .asked, .shared); write Secret.asked with what to ask for, and never the value: this file is in Git',
  ],
  ['a literal', { KEY: { generate: 'base64' } }, 'secrets.KEY must be a Secret, got "another object"'],
  [
    'a value as the prompt, without showing it',
    { TOKEN: Secret.asked('ghp_16C7e42F292c6912E7710c838347Ae178B4a') },
    'secrets.TOKEN must ask with one line of 1 to 200 characters, got "what looks like the value itself"; write what it is',
  ],
  ['an empty prompt', { KEY: Secret.asked(' ') }, 'must ask with one line of 1 to 200 characters, got " "'],
  ['a prompt of two lines', { KEY: Secret.asked('a\nb') }, 'must ask with one line'],
  [
    'few characters',
    { KEY: Secret.generated(16) },
    'secrets.KEY must have 22 to 1024 characters, got 16 (allowed: whole numbers; fewer than 22 have less than 128 bits, which can be guessed); write Secret.generated(48)',
  ],
  ['a fraction', { KEY: Secret.generated(48.5) }, 'must have 22 to 1024 characters, got 48.5'],
  ['few bytes', { KEY: Secret.bytes(8) }, 'secrets.KEY must have 16 to 1024 bytes, got 8'],
  [
    'an unknown kind of key',
    { KEY: Secret.keyPair('ecdsa' as 'rsa') },
    'secrets.KEY must be a key pair of a known kind, got "ecdsa" (allowed: rsa, ed25519); write Secret.keyPair()',
  ],
  ['a shared name in upper case', { KEY: Secret.shared('Partner') }, 'the name of a shared secret must be a DNS label'],
  [
    'the public half of a key that nobody has',
    { KEY: Secret.keyPair().publicHalf() },
    'secrets.KEY must not be the public half of a key of its own',
  ],
  [
    'a name that is no variable',
    { 'jwt-key': Secret.generated() },
    'the name secrets["jwt-key"] must be that of a variable, got "jwt-key"',
  ],
  ['a name that ends in _', { KEY_: Secret.generated() }, 'must be that of a variable'],
  [
    'two names that differ in case',
    { JWT_KEY: Secret.generated(), jwt_key: Secret.generated() },
    'secrets.jwt_key must have a name of its own, got "the same letters as JWT_KEY"; rename one of the two',
  ],
  [
    'two secrets with one variable',
    { KEY: Secret.generated().file('/run/a'), KEY_FILE: Secret.generated().file('/run/b') },
    'secrets.KEY_FILE must have a name of its own, got "KEY_FILE, which secrets.KEY sets"',
  ],
  [
    'a relative file',
    { KEY: Secret.generated().file('run/a') },
    'secrets.KEY.file must be the absolute path of a file',
  ],
  ['a file of the kubelet', { KEY: Secret.generated().file('/etc/hosts') }, 'the kubelet writes this file'],
];

test.each(wrong)('refuses %s', (_what, secrets, message) => {
  expect(secretsProblem(secrets, 'secrets')).toContain(message);
  expect(secretsProblem(secrets, 'secrets')).not.toMatch(/hunter2|16C7e42F/);
});

test('refuses what is no object', () => {
  expect(secretsProblem(['KEY'], 'secrets')).toContain(
    'secrets must be an object of secrets by variable, got "a list"',
  );
});

test('accepts every kind, at both ends', () => {
  const secrets = {
    ...{
      A: Secret.generated(),
      B: Secret.generated(22),
      C: Secret.generated(1024),
      D: Secret.bytes(),
      E: Secret.sshKey(),
    },
    ...{ F: Secret.keyPair(), G: Secret.keyPair('ed25519').file('/run/secrets/g.pem'), H: Secret.asked('password') },
    ...{ I: Secret.shared('partner-api').file('/run/secrets/i'), J: Secret.shared('signing').publicHalf() },
  };
  expect(secretsProblem(secrets, 'secrets')).toBeUndefined();
});

test('a declared secret has a source and no file', () => {
  const problem = (secret: unknown) => declaredSecretProblem(secret, 'secrets.partner');
  expect(problem(Secret.asked('key of the partner'))).toBeUndefined();
  expect(problem(Secret.shared('other'))).toContain('must say where the value comes from');
  expect(problem(Secret.generated().file('/run/a'))).toContain('must be declared without a file');
});

test('the variable of a file ends in _FILE', () => {
  expect(secretVariable('KEY', Secret.generated())).toBe('KEY');
  expect(secretVariable('KEY', Secret.generated().file('/run/key'))).toBe('KEY_FILE');
  expect(secretVariable('KEY_FILE', Secret.generated().file('/run/key'))).toBe('KEY_FILE');
});

test('a key pair has two keys, of which one is stored', () => {
  expect(keysOfSecret({ generate: 'rsa-key', bits: 3072 })).toEqual({
    'private-key': { generate: 'rsa-key', bits: 3072 },
    'public-key': { publicHalfOf: 'private-key' },
  });
  expect(keysOfSecret({ ask: 'password' })).toEqual({ value: { ask: 'password' } });
});
