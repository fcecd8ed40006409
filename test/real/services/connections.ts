import { MicroserviceDeployment } from '../../../constructs';
import type { Tally } from '../tally';
import { Bench } from './bench';
import { HTTP_APP } from './programs';

/** A service reaches another by the variables that its connection gives. */
export function connections(tally: Tally): Promise<void> {
  return Bench.with(
    tally,
    (chart) => {
      const documents = new MicroserviceDeployment(chart, 'documents', {
        image: HTTP_APP,
        port: 9000,
        env: { PORT: '9000' },
      });
      const gateway = new MicroserviceDeployment(chart, 'gateway', { image: HTTP_APP });
      gateway.connectTo(documents);
    },
    async (bench) => {
      const [gateway] = await bench.ready('gateway', 'documents');
      const env = await bench.env(gateway!);
      const answer = await bench.ask(gateway!, `/get?url=${encodeURIComponent(`${env.DOCUMENTS_URL}/healthz`)}`);
      bench.check(
        'DOCUMENTS_URL answers',
        answer.code === 200 && answer.text === 'ok',
        `${env.DOCUMENTS_URL}: ${answer.text}`,
      );
    },
  );
}
