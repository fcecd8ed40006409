import { OutsideRoute } from '../constructs';
import { routesOf, type WebApp } from '../inventory';
import type { Context } from './context';

/** How a service is reached from outside: by host names if it is a web app, and by published ports. */
export function waysIn({ homelab, ingress: controller }: Context, service: WebApp): OutsideRoute[] {
  if (controller === undefined) return [];
  return [
    ...routesOf(homelab, service).map(({ hosts, ...options }) =>
      OutsideRoute.ingress({ ...options, host: hosts, controller }),
    ),
    ...(service.published ?? []).map((port) => OutsideRoute.port({ ...port, controller })),
  ];
}
