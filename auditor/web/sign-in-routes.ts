/**
 * Signing in and out. A name that there is not and a password that is wrong get the same answer after the same work.
 * The log hears of every attempt: with the name where it went well, else with the address alone, for what was typed as
 * a name may be a password.
 */
import { normalizeIP } from '@fastify/rate-limit';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { err, ok, type Result } from '../../schemas/result.ts';
import { fieldsOf, sendPage, type Door, type Visit } from './door.ts';
import { CALLBACK_PATH, createOidcSignIn, FLOW_MS } from './oidc.ts';
import type { Origins } from './origins.ts';
import { createPasswordCheck } from './passwords.ts';
import type { Login, WebPorts } from './ports.ts';
import { html } from './html.ts';
import type { Session, Sessions } from './sessions.ts';
import { signInPage } from './sign-in-page.ts';
import { createThrottle } from './throttle.ts';

const NAME_MAX = 200;
/** What PostgreSQL keeps of a name: behind that each longer one would be the same login, and another one to the wait. */
const LOGIN_BYTES_MAX = 63;
const PASSWORD_MAX = 1024;
const ATTEMPTS_A_MINUTE = 60;
const WRONG = 'This name and password do not go together, or they belong to no auditor.';
const AWAY = 'The store does not answer. Try again in a moment.';
const ELSEWHERE = 'Your organisation’s sign-in did not let you in here. Ask your administrator.';

/** Why somebody is not let in. */
type Refusal = { readonly kind: 'wrong' | 'unavailable'; readonly reason: string };

/** Adds the routes. */
export function addSignInRoutes(
  app: FastifyInstance,
  door: Door,
  sessions: Sessions,
  origins: Origins,
  { settings, openAuditor, nowMs, log }: WebPorts,
): void {
  const { people, oidc, operators } = settings.signIn;
  const passwords = createPasswordCheck();
  const throttle = createThrottle(nowMs);
  const elsewhere = oidc === null ? null : createOidcSignIn(oidc, origins.own, nowMs);
  const byPassword =
    people === null || [...people.values()].some(({ passwordHash }) => passwordHash !== undefined);
  const flowCookie = origins.isSecure ? '__Host-sealtrail-flow' : 'sealtrail-flow';
  // Lax: it has to come along when the issuer sends the browser back.
  const ofFlow = { path: '/', httpOnly: true, sameSite: 'lax', secure: origins.isSecure } as const;
  const rateLimit = { max: ATTEMPTS_A_MINUTE, timeWindow: 60_000 };

  const show = (
    reply: FastifyReply,
    visit: Visit,
    fault: string | null,
    status: number,
  ): FastifyReply =>
    sendPage(
      reply,
      visit,
      signInPage(visit.context, {
        byPassword,
        oidc: oidc?.title ?? null,
        isDatabaseLogin: people === null,
        fault,
      }),
      status,
    );

  /** The login of a name and a password; null when they are wrong. */
  async function loginOf(name: string, password: string): Promise<Login | null> {
    if (people === null)
      return Buffer.byteLength(name) > LOGIN_BYTES_MAX ? null : { user: name, password };
    const person = people.get(name);
    const isRight = await passwords.isRight(password, person?.passwordHash);
    return isRight && person !== undefined ? person.login : null;
  }

  async function begin(name: string, login: Login | null): Promise<Result<Session, Refusal>> {
    if (login === null) return err({ kind: 'wrong', reason: 'name or password is wrong' });
    const auditor = openAuditor(login);
    const tenants = await auditor.tenants();
    if (tenants.ok && tenants.value.length > 0) {
      const person = { name, isOperator: operators.has(name) };
      return ok(sessions.begin({ person, login, auditor, tenants: tenants.value }));
    }
    auditor.close();
    if (tenants.ok) return err({ kind: 'wrong', reason: 'the login may see no tenant' });
    const { kind, message } = tenants.error;
    if (kind === 'unavailable') return err({ kind, reason: message });
    // What the store says of it names the login.
    return err({ kind: 'wrong', reason: 'the store refuses the login' });
  }

  function refuse(request: FastifyRequest, { kind, reason }: Refusal): void {
    log.warn({ address: request.ip, kind, reason }, 'sign-in refused');
  }

  function letIn(
    request: FastifyRequest,
    reply: FastifyReply,
    visit: Visit,
    session: Session,
  ): void {
    if (visit.session !== null) sessions.end(visit.session);
    door.letIn(reply, session);
    log.info({ address: request.ip, login: session.person.name }, 'signed in');
  }

  app.get(
    '/sign-in',
    door.anybody(async (visit, _request, reply) =>
      visit.session === null ? show(reply, visit, null, 200) : reply.redirect('/', 303),
    ),
  );

  app.post(
    '/sign-in',
    { config: { rateLimit } },
    door.anybodysForm(async (visit, request, reply) => {
      if (!byPassword) return show(reply, visit, ELSEWHERE, 403);
      const name = fieldsOf(request).get('name')?.trim() ?? '';
      const password = fieldsOf(request).get('password') ?? '';
      // Whoever has a network of version 6 has any number of addresses in it.
      const ofAddress = `address ${normalizeIP(request.ip)}`;
      const ofName = `name ${name.slice(0, NAME_MAX)}`;
      const waitMs = throttle.waitMs([ofName, ofAddress]);
      if (waitMs > 0) {
        const seconds = Math.ceil(waitMs / 1000);
        refuse(request, { kind: 'wrong', reason: 'too many attempts' });
        void reply.header('retry-after', seconds);
        return show(reply, visit, `Too many attempts. Try again in ${seconds} s.`, 429);
      }
      throttle.begin([ofName, ofAddress]);
      const isTyped =
        name !== '' &&
        name.length <= NAME_MAX &&
        // A zero would end the name in the store's protocol, and count as another name for the wait.
        !/\p{Cc}/u.test(name) &&
        password !== '' &&
        password.length <= PASSWORD_MAX;
      const begun = await begin(name, isTyped ? await loginOf(name, password) : null);
      if (!begun.ok) {
        refuse(request, begun.error);
        const isAway = begun.error.kind === 'unavailable';
        return show(reply, visit, isAway ? AWAY : WRONG, isAway ? 503 : 401);
      }
      throttle.succeed(ofName, ofAddress);
      letIn(request, reply, visit, begun.value);
      return reply.redirect('/', 303);
    }),
  );

  app.post(
    '/sign-out',
    door.form(async ({ session }, _request, reply) => {
      sessions.end(session);
      door.letOut(reply);
      log.info({ login: session.person.name }, 'signed out');
      return reply.redirect('/sign-in', 303);
    }),
  );

  if (elsewhere === null) return;

  app.get(
    '/sign-in/oidc',
    { config: { rateLimit } },
    door.anybody(async (visit, request, reply) => {
      const flow = await elsewhere.begin();
      if (!flow.ok) {
        refuse(request, { kind: 'unavailable', reason: flow.error });
        return show(reply, visit, 'Your organisation’s sign-in does not answer.', 503);
      }
      void reply.setCookie(flowCookie, flow.value.id, { ...ofFlow, maxAge: FLOW_MS / 1000 });
      return reply.redirect(flow.value.url.href, 303);
    }),
  );

  app.get(
    CALLBACK_PATH,
    { config: { rateLimit } },
    door.anybody(async (visit, request, reply) => {
      const id = request.cookies[flowCookie] ?? '';
      // With all that it was set with, or a browser keeps what begins with __Host-.
      void reply.clearCookie(flowCookie, ofFlow);
      const name = await elsewhere.finish(id, new URL(request.url, origins.own()));
      const login = name.ok ? people?.get(name.value)?.login : undefined;
      if (!name.ok || login === undefined) {
        refuse(request, { kind: 'wrong', reason: name.ok ? 'not in the people list' : name.error });
        return show(reply, visit, ELSEWHERE, 403);
      }
      const begun = await begin(name.value, login);
      if (!begun.ok) {
        refuse(request, begun.error);
        const isAway = begun.error.kind === 'unavailable';
        return show(reply, visit, isAway ? AWAY : ELSEWHERE, isAway ? 503 : 403);
      }
      letIn(request, reply, visit, begun.value);
      // A page of ours sends it on: what follows a redirect from elsewhere comes without a strict cookie.
      const body = html`<section class="message">
        <h1>Signed in</h1>
        <p><a class="button" href="/">Go on to the questions</a></p>
      </section>`;
      return sendPage(reply, visit, { title: 'Signed in', body, forward: '/' });
    }),
  );
}
