import { App, Chart } from 'cdk8s';
import { MicroserviceDeployment, OutsideRoute, Tls, TraefikIngress } from '../../constructs';
import { render } from '../../synth';

/** Prints, as JSON, objects of kinds that no homelab needs, with every field that a construct can set: for schemas.py. */
const app = new App();
const ingress = new TraefikIngress(new Chart(app, 'ingress', { namespace: 'ingress' }), 'traefik', {
  watchNamespaces: ['web'],
  statusAddress: '192.168.1.22',
  dnsNames: ['*.home.arpa'],
  apiServer: { cidrs: ['192.168.1.20/32'], port: 6443 },
});
const gateway = { name: 'main', namespace: 'gateway' };
const controller = { namespace: 'gateway', labels: { app: 'gateway' } };
new MicroserviceDeployment(new Chart(app, 'web', { namespace: 'web' }), 'app', {
  image: 'ghcr.io/owner/app:1.0.0',
  ports: { http: { port: 8080, service: 80 }, metrics: 9100 },
  routes: [
    OutsideRoute.gateway({ host: 'app.home.arpa', gateway, controller }),
    OutsideRoute.gateway({
      host: ['app.home.arpa', 'admin.app.home.arpa'],
      path: '/api/v1',
      stripPrefix: true,
      port: 'metrics',
      gateway: { ...gateway, sectionName: 'https' },
      controller,
    }),
    OutsideRoute.ingress({ host: 'a.home.arpa', controller: ingress, tls: Tls.acme({ issuer: 'letsencrypt' }) }),
    OutsideRoute.ingress({
      host: ['b.home.arpa', 'c.b.home.arpa'],
      path: '/b',
      controller: ingress,
      tls: Tls.acme({ issuer: 'own', kind: 'Issuer' }),
    }),
  ],
});
const kinds = ['HTTPRoute', 'Certificate'];
console.log(JSON.stringify(render(app).flatMap(({ object }) => (kinds.includes(object.kind) ? [object] : []))));
