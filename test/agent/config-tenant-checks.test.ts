import { describe, test } from 'vitest';
import { expectFault, expectValid } from '../support/config.ts';

const OTLP = { tenants: ['*'] };
const TOKEN = { token: 'a-token-of-20-letters', tenants: ['acme'] };

describe('a tenant', () => {
  test.each<[string, object, string]>([
    [
      'of the socket',
      { receivers: { socket: { tenants: ['acm'] } } },
      '/receivers/socket/tenants/0',
    ],
    ['of OTLP', { receivers: { otlp: { tenants: ['acm'] } } }, '/receivers/otlp/tenants/0'],
    [
      'of a token',
      { receivers: { otlp: { ...OTLP, bearer_tokens: [{ ...TOKEN, tenants: ['acme', 'acm'] }] } } },
      '/receivers/otlp/bearer_tokens/0/tenants/1',
    ],
    [
      'by default',
      { receivers: { otlp: { ...OTLP, default_tenant: 'acm' } } },
      '/receivers/otlp/default_tenant',
    ],
  ])('%s is declared', async (_, config, field) => {
    await expectFault(config, field, 'not declared below tenants; did you mean "acme"?');
  });

  test('of a token or by default is one that its receiver may write for', async () => {
    const tenants = [{ id: 'acme' }, { id: 'globex' }];
    const otlp = { tenants: ['globex'] };
    const field = '/receivers/otlp/bearer_tokens/0/tenants/0';
    const message = 'the tenant "acme" is not one of receivers.otlp.tenants';
    await expectFault(
      { tenants, receivers: { otlp: { ...otlp, bearer_tokens: [TOKEN] } } },
      field,
      message,
    );
    await expectFault(
      { tenants, receivers: { otlp: { ...otlp, default_tenant: 'acme' } } },
      '/receivers/otlp/default_tenant',
      message,
    );
    await expectValid({
      tenants,
      receivers: { otlp: { tenants: ['acme'], default_tenant: 'acme', bearer_tokens: [TOKEN] } },
    });
  });

  test('is declared once, and is not the one of the agent itself', async () => {
    const twice = [{ id: 'acme' }, { id: 'acme' }];
    await expectFault({ tenants: twice }, '/tenants/1/id', '"acme" is declared twice');
    const own = [{ id: 'acme' }, { id: 'sealtrail' }];
    await expectFault({ tenants: own }, '/tenants/1/id', "the agent's own events");
  });
});
