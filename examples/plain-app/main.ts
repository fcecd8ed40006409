import { App, Chart, Size } from 'cdk8s';
import { Cpu } from 'cdk8s-plus-28';
import {
  CassandraStatefulSet,
  DataStorage,
  ExternalLlmService,
  LlmEndpoint,
  MicroserviceDeployment,
  MongoReplicaSet,
  OutsideRoute,
  Tls,
} from 'collab-homelab';
import { checkApp } from 'collab-homelab/synth';

const app = new App();
const data = new Chart(app, 'data', { namespace: 'data', disableResourceNameHashes: true });
const apps = new Chart(app, 'apps', { namespace: 'apps', disableResourceNameHashes: true });

// Volumes by whatever the cluster has; `kubectl get storageclass` names it.
const cassandra = new CassandraStatefulSet(data, 'cassandra', {
  clusterName: 'shop',
  storage: DataStorage.storageClass(Size.gibibytes(20), 'standard'),
  resources: { memory: Size.gibibytes(4), cpu: Cpu.units(1) },
});
const mongodb = new MongoReplicaSet(data, 'mongodb', {
  storage: DataStorage.storageClass(Size.gibibytes(20), 'standard'),
  resources: { memory: Size.gibibytes(1), cpu: Cpu.millis(250) },
});
const llm = new ExternalLlmService(apps, 'llm-service', {
  endpoint: LlmEndpoint.endpointSlice({ address: '192.168.1.30' }),
  models: { chat: { tag: 'qwen2.5:14b-instruct-q4_K_M' } },
});

const orders = new MicroserviceDeployment(apps, 'orders', { image: 'ghcr.io/owner/orders:1.0.0' });
orders.connectTo(cassandra, { keyspace: 'orders' });
orders.connectTo(mongodb, { database: 'customers' });
orders.connectTo(llm, { model: 'chat' });

const shop = new MicroserviceDeployment(apps, 'shop', {
  image: 'ghcr.io/owner/shop:1.0.0',
  replicas: 2,
  // An ingress controller that runs already: its class, and its pods, which alone may reach the shop.
  routes: [
    OutsideRoute.ingress({
      host: 'shop.example.org',
      controller: {
        ingressClassName: 'nginx',
        peer: { namespace: 'ingress-nginx', labels: { 'app.kubernetes.io/name': 'ingress-nginx' } },
      },
      tls: Tls.secret('shop-certificate'),
    }),
  ],
});
shop.connectTo(orders);

checkApp(app);
app.synth();
