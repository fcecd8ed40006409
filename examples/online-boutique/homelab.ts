import { Duration, Size } from 'cdk8s';
import { Cpu } from 'cdk8s-plus-28';
import { defineHomelab, Env, Probes, type TalosMachine } from '../../inventory';
import smallest from '../smallest/homelab';

/**
 * Google's Online Boutique (github.com/GoogleCloudPlatform/microservices-demo, v0.10.5) on one machine: nine gRPC services, a
 * frontend, a Redis and a worker that buys. Ports, variables, users and limits are those of its release/kubernetes-manifests.yaml.
 * Two differences: the Redis keeps its carts on a disk, and the images of the services are pinned by version.
 */
const image = (name: string) => `us-central1-docker.pkg.dev/google-samples/microservices-demo/${name}:v0.10.5`;

/** What its servers have in common: user 1000, a port of gRPC that its health service answers on, 128 MiB. */
const server = (name: string, port: number, service = port) => ({
  image: image(name),
  ports: { grpc: { port, service, protocol: 'grpc' as const } },
  user: 1000,
  memory: Size.mebibytes(128),
  connects: [],
});
const traced = { DISABLE_PROFILER: '1', ENABLE_TRACING: '0' };

const machine = smallest.machines['talos-01'] as TalosMachine;

export default defineHomelab({
  ...smallest,
  name: 'boutique',
  network: { ...smallest.network, domain: 'boutique.home.arpa' },
  hosts: { pve: { ...smallest.hosts.pve!, memory: Size.gibibytes(32) } },
  machines: {
    'talos-01': {
      ...machine,
      memory: Size.gibibytes(16),
      cores: 8,
      dataDisks: { 'redis-cart-data': Size.gibibytes(5) },
    },
  },
  ingress: { statusMachine: 'talos-01', memory: Size.mebibytes(128), cpu: Cpu.millis(100) },

  services: {
    adservice: {
      ...server('adservice', 9555),
      memory: Size.mebibytes(300),
      cpu: Cpu.millis(200),
      env: { PORT: '9555' },
    },
    cartservice: {
      ...server('cartservice', 7070),
      cpu: Cpu.millis(200),
      env: { REDIS_ADDR: Env.from('redis-cart', 'address') },
      connects: [{ service: 'redis-cart' }],
    },
    checkoutservice: {
      ...server('checkoutservice', 5050),
      env: {
        PORT: '5050',
        PRODUCT_CATALOG_SERVICE_ADDR: Env.from('productcatalogservice', 'address'),
        SHIPPING_SERVICE_ADDR: Env.from('shippingservice', 'address'),
        PAYMENT_SERVICE_ADDR: Env.from('paymentservice', 'address'),
        EMAIL_SERVICE_ADDR: Env.from('emailservice', 'address'),
        CURRENCY_SERVICE_ADDR: Env.from('currencyservice', 'address'),
        CART_SERVICE_ADDR: Env.from('cartservice', 'address'),
      },
      connects: [
        { service: 'productcatalogservice' },
        { service: 'shippingservice' },
        { service: 'paymentservice' },
        { service: 'emailservice' },
        { service: 'currencyservice' },
        { service: 'cartservice' },
      ],
    },
    currencyservice: { ...server('currencyservice', 7000), env: { PORT: '7000', ...traced } },
    // Clients use port 5000 of the Service, the container listens on 8080.
    emailservice: { ...server('emailservice', 8080, 5000), env: { PORT: '8080', ...traced } },
    paymentservice: { ...server('paymentservice', 50051), env: { PORT: '50051', ...traced } },
    productcatalogservice: { ...server('productcatalogservice', 3550), env: { PORT: '3550', ...traced } },
    recommendationservice: {
      ...server('recommendationservice', 8080),
      memory: Size.mebibytes(450),
      env: { PORT: '8080', PRODUCT_CATALOG_SERVICE_ADDR: Env.from('productcatalogservice', 'address'), ...traced },
      connects: [{ service: 'productcatalogservice' }],
    },
    shippingservice: { ...server('shippingservice', 50051), env: { PORT: '50051', ...traced } },

    'redis-cart': {
      image: 'docker.io/library/redis:8.2.2-alpine',
      // The image writes to /data. Each change is on the disk after a second at most.
      args: ['--appendonly', 'yes'],
      ports: { redis: { port: 6379, protocol: 'tcp' } },
      probes: Probes.tcp(),
      user: 999,
      memory: Size.mebibytes(256),
      cpu: Cpu.millis(70),
      volumes: { data: { path: '/data' } },
      connects: [],
    },

    // It listens on no port, and buys as ten people would.
    loadgenerator: {
      kind: 'worker',
      image: image('loadgenerator'),
      user: 1000,
      memory: Size.mebibytes(512),
      cpu: Cpu.millis(300),
      env: { FRONTEND_ADDR: Env.from('frontend', 'address'), USERS: '10', RATE: '1' },
      terminationGracePeriod: Duration.seconds(5),
      connects: [{ service: 'frontend', namespace: 'web' }],
    },
  },

  webApps: {
    frontend: {
      host: 'shop',
      image: image('frontend'),
      ports: { http: { port: 8080, service: 80 } },
      probes: Probes.http({
        live: '/_healthz',
        ready: '/_healthz',
        headers: { Cookie: 'shop_session-id=x-readiness-probe' },
      }),
      user: 1000,
      memory: Size.mebibytes(128),
      cpu: Cpu.millis(100),
      env: {
        PORT: '8080',
        PRODUCT_CATALOG_SERVICE_ADDR: Env.from('productcatalogservice', 'address'),
        CURRENCY_SERVICE_ADDR: Env.from('currencyservice', 'address'),
        CART_SERVICE_ADDR: Env.from('cartservice', 'address'),
        RECOMMENDATION_SERVICE_ADDR: Env.from('recommendationservice', 'address'),
        SHIPPING_SERVICE_ADDR: Env.from('shippingservice', 'address'),
        CHECKOUT_SERVICE_ADDR: Env.from('checkoutservice', 'address'),
        AD_SERVICE_ADDR: Env.from('adservice', 'address'),
        // It must be set; this service is an option of the shop, and not part of the twelve.
        SHOPPING_ASSISTANT_SERVICE_ADDR: 'shoppingassistantservice:80',
        ENABLE_PROFILER: '0',
      },
      connects: [
        { service: 'productcatalogservice' },
        { service: 'currencyservice' },
        { service: 'cartservice' },
        { service: 'recommendationservice' },
        { service: 'shippingservice' },
        { service: 'checkoutservice' },
        { service: 'adservice' },
      ],
    },
  },
});
