import { createPrivateKey, createPublicKey, sign, verify } from 'node:crypto';
import { MicroserviceDeployment, Secret } from '../../../constructs';
import type { Tally } from '../tally';
import { Bench } from './bench';
import { HTTP_APP } from './programs';

const BINARY = Uint8Array.from({ length: 256 }, (_, index) => index);
const ASKED = `p@ss w"ord' $(HOME) \\ ü`;

/** Files and secrets reach the process: unchanged, readable by its user, beside the files of the image. */
export function files(tally: Tally): Promise<void> {
  return Bench.with(
    tally,
    (chart) => {
      new MicroserviceDeployment(chart, 'reader', {
        image: HTTP_APP,
        files: {
          '/etc/app/config.yaml': 'greeting: hello\n',
          '/etc/app/deep/below/more.txt': 'more',
          '/opt/keys.bin': BINARY,
        },
        secrets: {
          SESSION_KEY: Secret.generated(48),
          SIGNING_KEY: Secret.keyPair().file('/run/secrets/signing.pem'),
          SMTP_PASSWORD: Secret.asked('password of the mail account'),
          CIPHER_KEY: Secret.bytes(32),
        },
      });
    },
    async (bench) => {
      const [reader] = await bench.ready('reader');
      const read = async (path: string) => (await bench.ask(reader!, `/files?path=${path}`)).text;
      bench.check(
        'a file of a folder that the image has',
        (await read('/etc/app/config.yaml')) === 'greeting: hello\n',
      );
      bench.check('its sibling in the image stays', (await read('/etc/app/of-the-image.txt')) === 'of the image');
      bench.check('a file of a folder that the image lacks', (await read('/etc/app/deep/below/more.txt')) === 'more');
      const size = await reader!
        .container('reader')
        .exec(['sh', '-c', 'od -An -v -tu1 /opt/keys.bin | tr -s " \\n" ","']);
      bench.check('bytes are as they were', size.output.replace(/^,|,$/g, '') === [...BINARY].join(), size.output);
      const write = await bench.ask(reader!, '/write?path=/etc/app/config.yaml');
      bench.check('files cannot be written', write.code === 500, write.text);

      const env = await bench.env(reader!);
      bench.check('a generated secret', /^[A-Za-z0-9]{48}$/.test(env.SESSION_KEY ?? ''), env.SESSION_KEY);
      bench.check('bytes in base64', Buffer.from(env.CIPHER_KEY ?? '', 'base64').length === 32, env.CIPHER_KEY);
      bench.check('what the owner typed, unchanged', env.SMTP_PASSWORD === ASKED, env.SMTP_PASSWORD);
      bench.check(
        'the path of a secret file',
        env.SIGNING_KEY_FILE === '/run/secrets/signing.pem',
        env.SIGNING_KEY_FILE,
      );
      const pem = await read(env.SIGNING_KEY_FILE!);
      const data = Buffer.from('a token');
      const signature = sign('sha256', data, createPrivateKey(pem));
      bench.check(
        'the key of the file signs',
        verify('sha256', data, createPublicKey(pem), signature),
        pem.slice(0, 40),
      );
      const mode = await reader!.container('reader').exec(['stat', '-L', '-c', '%a', env.SIGNING_KEY_FILE!]);
      bench.check('others cannot read the file', /^4?[04]40$|^440$|^400$/.test(mode.output.trim()), mode.output);
    },
    { 'reader.smtp-password': ASKED },
  );
}
