/**
 * Sign-in by OpenID Connect: authorization code flow with PKCE, state and nonce (OpenID Connect Core 1.0, RFC 7636).
 * openid-client checks the token's signature, issuer, audience, times and nonce. What a flow has to remember stays here,
 * under a random id that its browser holds for some minutes.
 */
import type { Configuration } from 'openid-client';
import { memberOf } from '../../schemas/untrusted-json.ts';
import { err, messageOf, ok, type Result } from '../../schemas/result.ts';
import type { OidcSettings } from './ports.ts';
import { randomId } from './sessions.ts';

export const CALLBACK_PATH = '/sign-in/oidc/callback';
export const FLOW_MS: number = 10 * 60_000;
const FLOWS_MAX = 1_000;

export interface OidcSignIn {
  /** Begins a flow: where the browser goes, and the id that it brings back. */
  begin(): Promise<Result<{ readonly id: string; readonly url: URL }, string>>;
  /** Ends it: the name of the person. Each flow ends once. */
  finish(id: string, callback: URL): Promise<Result<string, string>>;
}

interface Flow {
  readonly pkceCodeVerifier: string;
  readonly expectedState: string;
  readonly expectedNonce: string;
  readonly endsMs: number;
}

/** Creates one; the issuer is asked for its metadata with the first flow, and again until it answers. */
export function createOidcSignIn(
  settings: OidcSettings,
  origin: () => string,
  nowMs: () => number,
): OidcSignIn {
  const flows = new Map<string, Flow>();
  let configuration: Configuration | null = null;

  async function configure(): Promise<Configuration> {
    const client = await import('openid-client');
    const issuer = new URL(settings.issuer);
    configuration ??= await client.discovery(
      issuer,
      settings.clientId,
      settings.clientSecret,
      undefined,
      // The token's signature, too, and not only the way on which it came. On this host nobody is in between.
      {
        execute: [
          client.enableNonRepudiationChecks,
          ...(isLocal(issuer) ? [client.allowInsecureRequests] : []),
        ],
      },
    );
    return configuration;
  }

  return {
    async begin() {
      try {
        const client = await import('openid-client');
        const known = await configure();
        const flow = {
          pkceCodeVerifier: client.randomPKCECodeVerifier(),
          expectedState: client.randomState(),
          expectedNonce: client.randomNonce(),
          endsMs: nowMs() + FLOW_MS,
        };
        const url = client.buildAuthorizationUrl(known, {
          redirect_uri: origin() + CALLBACK_PATH,
          scope: 'openid profile email',
          code_challenge: await client.calculatePKCECodeChallenge(flow.pkceCodeVerifier),
          code_challenge_method: 'S256',
          state: flow.expectedState,
          nonce: flow.expectedNonce,
        });
        const id = randomId();
        flows.set(id, flow);
        for (const [key, { endsMs }] of flows)
          if (flows.size > FLOWS_MAX || endsMs <= nowMs()) flows.delete(key);
        return ok({ id, url });
      } catch (error) {
        return err(messageOf(error));
      }
    },

    async finish(id, callback) {
      const flow = flows.get(id);
      flows.delete(id);
      if (flow === undefined || flow.endsMs <= nowMs())
        return err('no such flow, or it took too long');
      const { endsMs: _, ...checks } = flow;
      try {
        const client = await import('openid-client');
        const tokens = await client.authorizationCodeGrant(await configure(), callback, {
          ...checks,
          idTokenExpected: true,
        });
        return nameIn(tokens.claims(), settings.claim);
      } catch (error) {
        return err(messageOf(error));
      }
    },
  };
}

function nameIn(claims: unknown, claim: string): Result<string, string> {
  const name = memberOf(claims, claim);
  if (typeof name !== 'string' || name === '') return err(`the token has no text as ${claim}`);
  // Anybody may write somebody else's address into a profile.
  if (claim === 'email' && memberOf(claims, 'email_verified') !== true)
    return err(
      'the issuer has not verified the e-mail address; one that never does (as Entra ID) needs another oidc.claim',
    );
  return ok(name);
}

function isLocal({ hostname }: URL): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || hostname.startsWith('127.');
}
