/**
 * Who may send: the endpoint's safety at start, bearer tokens and client certificates per request.
 * Plain HTTP without a token is for loopback only.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { OtlpReceiverConfig } from '../../schemas/config.ts';
import { err, ok, type Result } from '../../schemas/result.ts';
import { isLoopback, parseEndpoint, type Endpoint } from '../endpoint.ts';
import type { TenantAllowList } from '../ports.ts';
import { createAllowList } from './admission.ts';
import type { HttpFault } from './otlp-answer.ts';

/** Why the receiver does not listen. */
export interface ListenFault {
  readonly kind: 'endpoint_invalid' | 'endpoint_insecure' | 'tls_unreadable' | 'listen_failed';
  readonly message: string;
}

/** Splits host:port ([v6]:port) and refuses to stand open on a network. */
export function checkEndpoint(config: OtlpReceiverConfig): Result<Endpoint, ListenFault> {
  const endpoint = parseEndpoint(config.endpoint);
  if (endpoint === null) {
    const message = `receivers.otlp.endpoint must be host:port, such as 127.0.0.1:4318`;
    return err({ kind: 'endpoint_invalid', message });
  }
  const names = (config.bearer_tokens ?? []).length > 0;
  const knows = names || config.tls?.client_ca_file !== undefined;
  if (isLoopback(endpoint.host) || (config.tls !== undefined && knows)) return ok(endpoint);
  const wanted = [
    ...(config.tls === undefined ? ['tls'] : []),
    ...(knows ? [] : ['bearer_tokens or tls.client_ca_file']),
  ];
  const message = `receivers.otlp.endpoint ${config.endpoint} is reachable from other hosts: configure ${wanted.join(' and ')}, or listen on 127.0.0.1`;
  return err({ kind: 'endpoint_insecure', message });
}

/** Says for which tenants a request may write, or why for none. */
export interface Gate {
  check(request: IncomingMessage): Result<TenantAllowList, HttpFault>;
}

/** Creates the gate of a receiver. A token's tenants count only as far as the receiver's do. */
export function createGate(config: OtlpReceiverConfig): Gate {
  const own = createAllowList(config.tenants);
  const tokens = (config.bearer_tokens ?? []).map(({ token, tenants }) => {
    const list = createAllowList(tenants);
    const both: TenantAllowList = { has: (tenant) => list.has(tenant) && own.has(tenant) };
    return { digest: digestOf(token), allowed: both };
  });
  const isOpen = tokens.length === 0 && config.tls?.client_ca_file === undefined;

  return {
    check: (request) => {
      // A browser always sends Origin with a POST, a program does not: no web page may write here.
      if (isOpen && request.headers.origin !== undefined) {
        const message = 'requests from web pages are refused; send from a program';
        return err({ status: 403, kind: 'unauthorized', message });
      }
      if (tokens.length === 0) return ok(own);
      const given = /^Bearer +([^\s]+) *$/i.exec(request.headers.authorization ?? '')?.[1];
      const digest = digestOf(given ?? '');
      // Every token is compared, each in constant time: neither which nor how much leaks.
      const found = tokens.filter((token) => timingSafeEqual(token.digest, digest));
      const token = found[0];
      if (given !== undefined && token !== undefined) return ok(token.allowed);
      const message = 'a bearer token of this receiver is required in the Authorization header';
      const headers = { 'WWW-Authenticate': 'Bearer' };
      return err({ status: 401, kind: 'unauthorized', message, headers });
    },
  };
}

function digestOf(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}
