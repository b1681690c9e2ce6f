/** What config.schema.json cannot say of tenants: each that is named is declared, and may be written for. */
import { AGENT_TENANT } from './append/agent-event.ts';
import { didYouMean, type CheckContext } from './config-checks.ts';
import { pointerTo, type FieldFault } from './config-source.ts';

/** A tenant named somewhere. */
interface Mention {
  readonly tenant: string;
  readonly field: string;
}

function mentionsIn(tenants: readonly string[] | undefined, at: string): readonly Mention[] {
  return (tenants ?? [])
    .map((tenant, index) => ({ tenant, field: pointerTo(at, index) }))
    .filter(({ tenant }) => tenant !== '*');
}

/** Every tenant that is named is declared, once, and within what its receiver may write for. */
export function checkTenants({ form, shown }: CheckContext): readonly FieldFault[] {
  const { socket, otlp } = form.receivers;
  const declared = form.tenants.map(({ id }) => id);
  const granted = [
    ...mentionsIn(socket?.tenants, '/receivers/socket/tenants'),
    ...mentionsIn(otlp?.tenants, '/receivers/otlp/tenants'),
  ];
  const within = (otlp?.bearer_tokens ?? []).flatMap(({ tenants }, index) =>
    mentionsIn(tenants, `/receivers/otlp/bearer_tokens/${index}/tenants`),
  );
  const field = '/receivers/otlp/default_tenant';
  if (otlp?.default_tenant !== undefined) within.push({ tenant: otlp.default_tenant, field });
  const isDeclared = ({ tenant }: Mention): boolean => declared.includes(tenant);
  const isGranted = ({ tenant }: Mention): boolean =>
    otlp?.tenants.some((name) => name === '*' || name === tenant) ?? false;
  const blame = (mention: Mention, what: string): FieldFault => {
    const { field: at, tenant } = mention;
    return { field: at, message: `the tenant "${shown(at, tenant)}" ${what}` };
  };
  const literal = declared.filter((id, index) => shown(`/tenants/${index}/id`, id) === id);
  return [
    ...checkDeclared(declared, blame),
    ...[...granted, ...within]
      .filter((mention) => !isDeclared(mention))
      .map((mention) =>
        blame(mention, `is not declared below tenants${didYouMean(mention.tenant, literal)}`),
      ),
    ...within
      .filter((mention) => isDeclared(mention) && !isGranted(mention))
      .map((mention) => blame(mention, 'is not one of receivers.otlp.tenants; add it there')),
  ];
}

function checkDeclared(
  declared: readonly string[],
  blame: (mention: Mention, what: string) => FieldFault,
): readonly FieldFault[] {
  return declared.flatMap((tenant, index) => {
    const mention = { tenant, field: `/tenants/${index}/id` };
    if (tenant === AGENT_TENANT)
      return [blame(mention, "holds the agent's own events; choose another name")];
    if (declared.indexOf(tenant) < index)
      return [blame(mention, 'is declared twice; remove one of the two')];
    return [];
  });
}
