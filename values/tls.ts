import { fieldsProblem, wordOf } from './fields';
import { dnsLabelProblem, dnsNameProblem } from './names';
import { sentence } from './problem';

/** The issuer of cert-manager that signs a certificate. */
export interface AcmeIssuer {
  /** Name of the ClusterIssuer or Issuer. */
  readonly issuer: string;
  /** An Issuer must be in the namespace of the route. @default ClusterIssuer */
  readonly kind?: 'ClusterIssuer' | 'Issuer';
}

/** The certificate of a route. Without one the route has the certificate of the ingress controller. */
export class Tls {
  /** A certificate that you have: `npm run bootstrap -- apply secrets` asks for it, and keeps it encrypted. */
  static asked(): Tls {
    return new Tls({ asked: true });
  }

  /** A Secret of type kubernetes.io/tls in the namespace of the route, which exists or which something else makes. */
  static secret(name: string): Tls {
    return new Tls({ secret: name });
  }

  /**
   * A certificate that cert-manager gets, by ACME or from any other issuer, and renews. cert-manager and the issuer must be in
   * the cluster. The issuer must prove the name by DNS-01: the policies of the namespace block the pods of HTTP-01.
   */
  static acme(issuer: AcmeIssuer): Tls {
    return new Tls({ acme: issuer });
  }

  private constructor(
    /** Where it comes from. */
    readonly source: { readonly asked: true } | { readonly secret: string } | { readonly acme: AcmeIssuer },
  ) {}
}

/** What is wrong with the certificate of a route, as a sentence, or undefined. */
export function tlsProblem(value: unknown, what: string): string | undefined {
  if (!(value instanceof Tls))
    return sentence({
      what: `${what} must be a Tls`,
      got: value,
      allowed: "Tls.asked(), Tls.secret('shop-tls'), Tls.acme({ issuer: 'letsencrypt' })",
      fix: 'leave it out for the certificate of the ingress controller',
    });
  const { source } = value;
  if ('secret' in source) return dnsNameProblem(source.secret, `the secret of ${what}`);
  if (!('acme' in source)) return undefined;
  const fields = {
    issuer: (name: unknown) => dnsLabelProblem(name, `the issuer of ${what}`),
    kind: wordOf('ClusterIssuer', 'Issuer'),
  };
  return fieldsProblem<AcmeIssuer>(source.acme, `${what}.acme`, fields, ['issuer']);
}
