import { Duration, Size } from 'cdk8s';
import { Cpu } from 'cdk8s-plus-28';
import { defineHomelab, Probes, Secret, type TalosMachine } from '../../inventory';
import smallest from '../smallest/homelab';

/**
 * Forgejo (forgejo.org, the rootless image of its long-term version 11) with a database file: repositories and SQLite are on
 * one disk. HTTPS by the ingress, Git over SSH at port 22 of the machine.
 * Every night a job dumps both onto a second disk. It reads the disk of Forgejo, so it runs beside it; copy the dumps to another machine.
 */
const machine = smallest.machines['talos-01'] as TalosMachine;
const IMAGE = 'codeberg.org/forgejo/forgejo:11.0.14-rootless';
const SETTINGS = '/var/lib/gitea/custom/conf/app.ini';
const HOST = 'git.forge.home.arpa';

export default defineHomelab({
  ...smallest,
  name: 'forge',
  network: { ...smallest.network, domain: 'forge.home.arpa' },
  machines: {
    'talos-01': {
      ...machine,
      dataDisks: { 'forgejo-data': Size.gibibytes(100), 'forgejo-backups': Size.gibibytes(200) },
    },
  },
  ingress: { statusMachine: 'talos-01', memory: Size.mebibytes(128), cpu: Cpu.millis(100) },

  services: {},
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
        GITEA_APP_INI: SETTINGS,
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
      volumes: { data: { path: '/var/lib/gitea' }, backups: { path: '/backups' } },
      scratch: { '/tmp': Size.mebibytes(512) },
      connects: [],
    },
    'forgejo-backup': {
      kind: 'job',
      schedule: '30 3 * * *',
      timeZone: 'Europe/Berlin',
      image: IMAGE,
      command: ['sh', '-ec'],
      args: [
        [
          'file="/backups/$(date +%F).zip"',
          // Left by a run that failed.
          'rm -f "$file"',
          'forgejo dump --config "$GITEA_APP_INI" --file "$file"',
          'find /backups -name "*.zip" -mtime +14 -delete',
        ].join('\n'),
      ],
      user: 1000,
      memory: Size.mebibytes(512),
      env: { GITEA_APP_INI: SETTINGS },
      sharedVolumes: {
        '/var/lib/gitea': { of: 'forgejo', volume: 'data' },
        '/backups': { of: 'forgejo', volume: 'backups' },
      },
      scratch: { '/tmp': Size.gibibytes(1) },
      connects: [],
    },
  },
});
