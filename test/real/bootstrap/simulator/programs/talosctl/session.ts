import { join } from 'node:path';
import { parse as parseYaml } from 'yaml';
import type { CommandLine } from '../../command-line';
import { addressUp, talosNodes, type TalosNode } from '../../life';
import { Failure, type Answer, type Context } from '../program';
import { table } from './table';

/** One call of talosctl: its command line, and the nodes that it asks. */
export class Session {
  readonly command: string;
  readonly options: Readonly<Record<string, string>>;
  /** Text of the talosconfig. */
  private login = '';

  constructor(
    readonly context: Context,
    readonly line: CommandLine,
  ) {
    this.command = line.command;
    this.options = line.options;
  }

  /** Reads the talosconfig, from wherever the command line says. */
  async open(): Promise<void> {
    this.login = await this.context.read(this.talosconfigPath()).then(String, () => '');
  }

  /** The nodes that are asked, or the end in the words of gRPC where one does not answer or does not trust. */
  nodes(error = ''): TalosNode[] {
    const wanted = this.line.lists.nodes ?? [];
    if (this.options.insecure === 'true')
      return wanted.map((address) => {
        const node = this.reach(address, error);
        if (node.config)
          throw new Failure(
            `${error}${unavailable('error reading server preface: remote error: tls: certificate required')}`,
          );
        return node;
      });
    const { path, context } = this.talosconfig();
    const endpoints = this.line.lists.endpoints ?? context.endpoints ?? [];
    const nodes = wanted.length > 0 ? wanted : (context.nodes ?? []);
    if (nodes.length === 0)
      throw new Failure(
        'nodes are not set for the command: please use `--nodes` flag or configuration file to set the nodes to run the command against',
      );
    if (endpoints.length === 0) throw new Failure(`error constructing client: failed to determine endpoints`);
    if (!context.crt || !context.key)
      throw new Failure(`error constructing client: ${path} holds no client certificate`);
    // The first endpoint that is there passes the call on.
    const endpoint = endpoints.find((address: string) => addressUp(this.context.state, address)) ?? endpoints[0];
    const entry = this.reach(endpoint, error);
    if (entry.config?.authority.trim() !== String(context.ca).trim())
      throw new Failure(
        `${error}${unavailable('transport: authentication handshake failed: tls: failed to verify certificate: x509: certificate signed by unknown authority')}`,
      );
    // A node answers for itself. Only a control plane passes calls on, and then asks each node at its address.
    if (nodes.length === 1 && nodes[0] === endpoint) return [entry];
    if (!entry.config!.controlPlane)
      throw new Failure(`${error}rpc error: code = PermissionDenied desc = no request forwarding`);
    return nodes.map((address: string) => {
      const node = this.reach(address, error);
      if (node.config?.authority !== entry.config!.authority)
        throw new Failure(
          `${error}${unavailable('transport: authentication handshake failed: tls: failed to verify certificate: x509: certificate signed by unknown authority')}`,
        );
      return node;
    });
  }

  private reach(address: string, error: string): TalosNode {
    const node = talosNodes(this.context.state).find((each) => each.address === address);
    if (node && Date.now() >= node.disk.awayUntil) return node;
    const why = node ? 'connection refused' : 'no route to host';
    throw new Failure(
      `${error}${unavailable(`transport: Error while dialing: dial tcp ${address}:50000: connect: ${why}`)}`,
    );
  }

  private talosconfigPath(): string {
    const { TALOSCONFIG, HOME = '' } = this.context.call.env;
    return this.options.talosconfig ?? TALOSCONFIG ?? join(HOME, '.talos/config');
  }

  private talosconfig() {
    const path = this.talosconfigPath();
    const config = parseYaml(this.login) ?? {};
    const context = config.contexts?.[this.options.context ?? config.context];
    if (!context) throw new Failure('error constructing client: failed to determine endpoints');
    return { path, context };
  }

  each(act: (node: TalosNode) => void): Answer {
    const nodes = this.nodes();
    const addresses = nodes.map(({ address }) => address);
    for (const node of nodes) act(node);
    return {
      stderr: `◲ watching nodes: [${addresses.join(' ')}]\n${addresses.map((address) => `"${address}": post check passed\n`).join('')}`,
    };
  }

  lines(header: string, rows: (node: TalosNode) => readonly (readonly string[])[]): string {
    const head = header.split(' ').map((each) => each.replaceAll('_', ' '));
    return table([head, ...this.nodes().flatMap((node) => rows(node).map((cells) => [node.address, ...cells]))]);
  }
}

function unavailable(why: string): string {
  return `rpc error: code = Unavailable desc = connection error: desc = "${why}"`;
}
