/** A browser's way of asking for the auditor's page, without a browser. */
import { PASSWORD } from './web-store.ts';

/** What a browser without scripts does: keeps cookies, follows redirects within the page, sends the form's token. */
export interface Visitor {
  readonly cookies: Map<string, string>;
  get(path: string, headers?: Record<string, string>): Promise<Response>;
  /** `fields` with the token of the last page; an `undefined` header is left away. */
  post(
    path: string,
    fields: Record<string, string>,
    headers?: Record<string, string | undefined>,
  ): Promise<Response>;
  /** Signs in; the page that follows. */
  signIn(name: string, password?: string): Promise<Response>;
  /** Asks a question; the address of its answer. */
  ask(question: string, fields?: Record<string, string>): Promise<string>;
}

export function createVisitor(url: string): Visitor {
  const cookies = new Map<string, string>();
  let csrf = '';

  async function send(path: string, init: RequestInit): Promise<Response> {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const headers = { ...init.headers, ...(cookie === '' ? {} : { cookie }) };
    const answer = await fetch(new URL(path, url), { ...init, headers, redirect: 'manual' });
    for (const line of answer.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      if (value === '') cookies.delete(name);
      else cookies.set(name, value);
    }
    const page = await answer.clone().text();
    csrf = /name="csrf" value="([^"]+)"/.exec(page)?.[1] ?? csrf;
    return answer;
  }

  const visitor: Visitor = {
    cookies,
    get: (path, headers = {}) => send(path, { headers }),
    post: (path, fields, headers = {}) => {
      const given = { 'sec-fetch-site': 'same-origin', origin: new URL(url).origin, ...headers };
      const sent = Object.entries(given).filter(
        (one): one is [string, string] => one[1] !== undefined,
      );
      const body = new URLSearchParams({ csrf, ...fields });
      return send(path, { method: 'POST', headers: Object.fromEntries(sent), body });
    },
    async signIn(name, password = PASSWORD) {
      await visitor.get('/sign-in');
      const answer = await visitor.post('/sign-in', { name, password });
      return answer.status === 303 ? visitor.get('/') : answer;
    },
    async ask(question, fields = {}) {
      await visitor.get(`/questions/${question}`);
      const form = { question, tenant: 'acme', preset: 'month', zone: 'UTC', ...fields };
      const answer = await visitor.post('/ask', form);
      return answer.headers.get('location') ?? '';
    },
  };
  return visitor;
}

/** The parameters of a question's form as it offers them: what stands in a field, or in one that must be filled its example. */
export function fieldsOf(form: string): Record<string, string> {
  const fields = [...form.matchAll(/<input\s[^>]*name="(p\.[^"]+)"[^>]*>/g)];
  return Object.fromEntries(
    fields.map(([field, name = '']) => {
      const part = /\srequired\s/.test(field) ? 'placeholder' : 'value';
      return [name, new RegExp(`${part}="([^"]*)"`).exec(field)?.[1] ?? ''];
    }),
  );
}
