import type { Tally } from '../../tally';
import { secretValues, tail } from '../harness/disturbed';
import type { Lab } from '../harness/lab';
import { changed } from './refusals';
import { secretsIn } from '../harness/secrets-in';

/** A repository that is read over SSH: Argo CD gets a key of its own, made once, which stands in the clear nowhere else. */
export async function overSsh(lab: Lab, tally: Tally): Promise<void> {
  await lab.restore('before gitops');
  lab.edit(lab.repository.https, lab.repository.ssh);
  const run = await lab.run(['apply', 'gitops', '--yes']);
  const [, key] = [...secretValues(lab)].find(([path]) => /repository\.sops.* sshPrivateKey$/.test(path)) ?? [];
  const { data = {}, metadata } = await lab.plane.client.ask('GET', '/api/v1/namespaces/argocd/secrets/repository');
  const given = Buffer.from(data.sshPrivateKey ?? '', 'base64').toString();
  tally.check(
    'over SSH: Argo CD has the key that is kept',
    run.code === 0 && /BEGIN OPENSSH PRIVATE KEY/.test(given) && given === key,
    tail(run),
  );
  tally.check(
    'over SSH: it is known as a repository',
    metadata.labels['argocd.argoproj.io/secret-type'] === 'repository',
    JSON.stringify(metadata),
  );
  const leaks = secretsIn(lab, [...secretValues(lab).values()], run.output);
  tally.check('over SSH: no secret in what was left or said', leaks.length === 0, leaks.join('\n'));
  const calls = lab.simulation.calls.length;
  const again = await lab.run(['apply', 'gitops', '--yes']);
  const changing = changed(lab, calls);
  tally.check(
    'over SSH: a second run changes nothing',
    again.code === 0 && changing.length === 0,
    `${changing.map(({ argv }) => argv.join(' ')).join('\n')}\n${tail(again)}`,
  );
}
