import { Duration, Size } from 'cdk8s';
import { Cpu } from 'cdk8s-plus-28';
import { defineHomelab, Env, Probes, Secret, type TalosMachine } from '../../inventory';
import smallest from '../smallest/homelab';

/**
 * Rocket.Chat (github.com/RocketChat, its Helm chart and Compose file) on a MongoDB of ours. Port, user, health path and
 * variables are those of its chart. Uploads are files on a disk of their own instead of GridFS, so there is one pod.
 */
const machine = smallest.machines['talos-01'] as TalosMachine;

export default defineHomelab({
  ...smallest,
  name: 'rocket',
  network: { ...smallest.network, domain: 'rocket.home.arpa' },
  hosts: {
    pve: { ...smallest.hosts.pve!, memory: Size.gibibytes(32) },
    mac: { kind: 'mac', model: 'Mac Mini M4', memory: Size.gibibytes(16), address: '192.168.1.50' },
  },
  backup: {
    target: {
      kind: 'sftp',
      host: 'mac',
      user: 'backup',
      path: '/Users/backup/homelab',
      hostKeys: ['ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLE00'],
    },
  },
  // A MongoDB may need 90 s to end.
  talos: { ...smallest.talos, shutdownGracePeriod: Duration.seconds(160) },
  machines: {
    'talos-01': {
      ...machine,
      down: Duration.seconds(400),
      memory: Size.gibibytes(16),
      cores: 8,
      labels: { databases: 'yes' },
      dataDisks: { 'mongodb-0': Size.gibibytes(50), 'rocketchat-uploads': Size.gibibytes(50) },
    },
  },
  databases: {
    mongodb: {
      kind: 'mongodb',
      // Rocket.Chat follows changes, which a replica set alone can tell: one member is enough for that.
      replicaSet: 'rs0',
      members: 1,
      memory: Size.gibibytes(2),
      cpu: Cpu.millis(500),
      nodeLabel: { key: 'databases', value: 'yes' },
    },
  },
  ingress: { statusMachine: 'talos-01', memory: Size.mebibytes(128), cpu: Cpu.millis(100) },

  services: {},
  webApps: {
    rocketchat: {
      // Websockets need nothing: no limit of time ends them.
      routes: [{ host: 'chat', maxBody: Size.mebibytes(200) }],
      image: 'registry.rocket.chat/rocketchat/rocket.chat:7.10.0',
      port: 3000,
      probes: Probes.http({ live: '/health', ready: '/health', startup: Duration.minutes(5) }),
      user: 999,
      memory: Size.gibibytes(2),
      cpu: Cpu.millis(500),
      env: {
        ROOT_URL: 'https://chat.rocket.home.arpa',
        PORT: '3000',
        // By this address further pods would find this one.
        INSTANCE_IP: Env.pod('ip'),
        MONGO_URL: Env.from('mongodb', 'uri'),
        MONGO_OPLOG_URL: Env.from('mongodb', 'uri', { database: 'local' }),
        OVERWRITE_SETTING_FileUpload_Storage_Type: 'FileSystem',
        OVERWRITE_SETTING_FileUpload_FileSystemPath: '/app/uploads',
      },
      secrets: { MAIL_URL: Secret.asked('address of your mail server, with user and password (smtps)') },
      volumes: { uploads: { path: '/app/uploads' } },
      scratch: { '/tmp': Size.mebibytes(512) },
      connects: [
        {
          mongodb: 'mongodb',
          database: 'rocketchat',
          access: ['readWrite', { role: 'read', database: 'local' }, { role: 'clusterMonitor', database: 'admin' }],
        },
        { internet: [443, 465], because: 'push notifications by gateway.rocket.chat, the marketplace, mail' },
      ],
    },
  },
});
