import {
  becauseProblem,
  internetPortsProblem,
  INTERNET,
  notPublic,
  outsideAddressProblem,
  outsidePort,
  outsidePortProblem,
  type OutsidePort,
} from '../values/ways-out';
import { connectionNameProblem, prefixOfName } from '../values/connection-fields';
import type { Client, Connectable, ConnectionName } from './connections';
import { assertValid } from './validation';

/** Props of a way to the internet. */
export interface InternetAccessProps {
  /** Ports of the servers, TCP as plain numbers, such as 443 for HTTPS and 587 for mail. */
  readonly ports: readonly OutsidePort[];
  /** Why, in a few words: it stands in the NetworkPolicy and in the report of connections. */
  readonly because: string;
  /**
   * Networks besides the private and reserved ones that are closed too, such as those of pods and Services where they are no
   * private networks. @default none
   */
  readonly except?: readonly string[];
}

/**
 * All public IPv4 addresses, and no private, link-local, loopback, CGNAT, multicast or reserved one: neither the home network nor
 * other pods. A NetworkPolicy knows no names, so it cannot be limited to one provider.
 */
export class InternetAccess implements Connectable<ConnectionName | undefined> {
  constructor(private readonly props: InternetAccessProps) {}

  /** Called by `connectTo`. Sets no variables. */
  accept(client: Client, name: ConnectionName | undefined): void {
    const { ports, because, except } = this.props;
    assertValid(client, internetPortsProblem(ports, 'ports'), becauseProblem(because, 'because'));
    client.addConnection(name, { name: 'internet', prefix: 'INTERNET' }, { kind: 'internet', fields: {} });
    for (const port of ports)
      client.connections.allowTo({ cidr: INTERNET, except: notPublic(except) }, outsidePort(port), because);
  }
}

/** Props of an address outside the cluster. */
export interface OutsideAddressProps {
  /** IPv4 address of one machine. A DNS name is refused, because a NetworkPolicy cannot hold names. */
  readonly address: string;
  /** Its port: TCP as a plain number. */
  readonly port: OutsidePort;
  /** Why, in a few words: it stands in the NetworkPolicy and in the report of connections. @default no reason */
  readonly because?: string;
}

/** One machine outside the cluster. `client.connectTo(ledger, { as: 'ledger' })` sets LEDGER_HOST and LEDGER_PORT. */
export class OutsideAddress implements Connectable<ConnectionName & { readonly as: string }> {
  constructor(private readonly props: OutsideAddressProps) {}

  /** Called by `connectTo`. */
  accept(client: Client, name: ConnectionName & { readonly as: string }): void {
    const { address, port, because } = this.props;
    assertValid(
      client,
      outsideAddressProblem(address, 'address'),
      outsidePortProblem(port, 'port'),
      connectionNameProblem(name?.as, '`as`'),
    );
    const to = outsidePort(port);
    client.addConnection(
      name,
      { name: name.as, prefix: prefixOfName(name.as) },
      {
        kind: 'address',
        fields: { host: address, port: String(to.port), address: `${address}:${to.port}` },
      },
    );
    client.connections.allowTo({ cidr: `${address}/32` }, to, because);
  }
}
