import { createServer } from 'node:http';
import { Env, InternetAccess, MicroserviceDeployment, OutsideAddress } from '../../../constructs';
import { GATEWAY } from '../node/node';
import type { Tally } from '../tally';
import { Bench } from './bench';
import { HTTP_APP } from './programs';

const OUTSIDE_PORT = 8300;

/** A service reaches what it is connected to by the variables that the connection gives, under its own names and those of an image. */
export function connections(tally: Tally): Promise<void> {
  return Bench.with(
    tally,
    (chart) => {
      const documents = new MicroserviceDeployment(chart, 'documents', {
        image: HTTP_APP,
        port: 9000,
        env: { PORT: '9000' },
      });
      const gateway = new MicroserviceDeployment(chart, 'gateway', {
        image: HTTP_APP,
        env: {
          BACKEND: 'http://$(BACKEND_ADDRESS)/healthz',
          BACKEND_ADDRESS: Env.from('documents', 'address'),
          'app.ledger': Env.from('ledger', 'address'),
        },
      });
      gateway.connectTo(documents);
      gateway.connectTo(new OutsideAddress({ address: GATEWAY, port: OUTSIDE_PORT }), { as: 'ledger' });
      gateway.connectTo(new InternetAccess({ ports: [443], because: 'push notifications' }));
    },
    async (bench) => {
      const [gateway] = await bench.ready('gateway', 'documents');
      const outside = createServer((_, response) => response.end('the ledger')).listen(OUTSIDE_PORT, GATEWAY);
      const env = await bench.env(gateway!);
      const from = async (url: string) => (await bench.ask(gateway!, `/get?url=${encodeURIComponent(url)}`)).text;
      const cases = [
        ['the URL of a connection answers', `${env.DOCUMENTS_URL}/healthz`, 'ok'],
        ['so does one that is made of a field', env.BACKEND!, 'ok'],
        ['an address outside answers', `http://${env.LEDGER_HOST}:${env.LEDGER_PORT}`, 'the ledger'],
        ['so does a variable with a dot in its name', `http://${env['app.ledger']}`, 'the ledger'],
      ] as const;
      for (const [what, url, expected] of cases) {
        const answer = await from(url);
        bench.check(what, answer === expected, `${url}: ${answer}`);
      }
      outside.close();
    },
  );
}
