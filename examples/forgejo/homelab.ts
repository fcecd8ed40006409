import { Duration, Size } from 'cdk8s';
import { Cpu } from 'cdk8s-plus-28';
import { defineHomelab, Probes, Secret, type TalosMachine } from '../../inventory';
import smallest from '../smallest/homelab';

/**
 * Forgejo (forgejo.org, the rootless image of its long-term version 11) with a database file: repositories and SQLite are on
 * one disk. HTTPS by the ingress, Git over SSH at port 22 of the machine.
 * Every night a job copies a repository to another server. It cannot read the disk of Forgejo: `forgejo dump` runs in its pod,
 * kubectl exec -n web deploy/forgejo -- forgejo dump
 */
const machine = smallest.machines['talos-01'] as TalosMachine;
const IMAGE = 'codeberg.org/forgejo/forgejo:11.0.14-rootless';
const HOST = 'git.forge.home.arpa';

export default defineHomelab({
  ...smallest,
  name: 'forge',
  network: { ...smallest.network, domain: 'forge.home.arpa' },
  machines: {
    'talos-01': {
      ...machine,
      dataDisks: { 'forgejo-data': Size.gibibytes(100) },
    },
  },
  ingress: { statusMachine: 'talos-01', memory: Size.mebibytes(128), cpu: Cpu.millis(100) },

  services: {
    'repository-copy': {
      kind: 'job',
      schedule: '30 3 * * *',
      timeZone: 'Europe/Berlin',
      image: IMAGE,
      command: ['sh', '-ec'],
      args: ['git clone --mirror "$FORGEJO_URL/$REPOSITORY" /tmp/copy && git -C /tmp/copy push --mirror "$TARGET"'],
      user: 1000,
      env: { HOME: '/tmp', REPOSITORY: 'owner/homelab.git' },
      secrets: { TARGET: Secret.asked('address of the repository for copies, with user and token (https)') },
      scratch: { '/tmp': Size.gibibytes(1) },
      connects: [
        { service: 'forgejo', namespace: 'web', port: 'http' },
        { internet: [443], because: 'the server that keeps the copy' },
      ],
    },
  },
  webApps: {
    forgejo: {
      host: 'git',
      image: IMAGE,
      ports: { http: 3000, ssh: { port: 2222, service: 22, protocol: 'tcp' } },
      published: [{ port: 22, to: 'ssh' }],
      probes: Probes.http({ live: '/api/healthz', ready: '/api/healthz', startup: Duration.minutes(3) }),
      user: 1000,
      memory: Size.mebibytes(512),
      cpu: Cpu.millis(200),
      env: {
        // The image writes its settings, with keys that it makes itself, into this file.
        GITEA_APP_INI: '/var/lib/gitea/custom/conf/app.ini',
        FORGEJO__database__DB_TYPE: 'sqlite3',
        FORGEJO__database__PATH: '/var/lib/gitea/data/forgejo.db',
        FORGEJO__server__DOMAIN: HOST,
        FORGEJO__server__ROOT_URL: `https://${HOST}/`,
        FORGEJO__server__SSH_DOMAIN: HOST,
        FORGEJO__server__SSH_PORT: '22',
        FORGEJO__server__SSH_LISTEN_PORT: '2222',
        FORGEJO__security__INSTALL_LOCK: 'true',
        FORGEJO__service__DISABLE_REGISTRATION: 'true',
      },
      secrets: { FORGEJO__security__SECRET_KEY: Secret.generated(64) },
      volumes: { data: { path: '/var/lib/gitea' } },
      scratch: { '/tmp': Size.mebibytes(512) },
      connects: [],
    },
  },
});
