/**
 * The shop: a small web service that audits with @sealtrail/sdk. Start the agent first, then
 * `node dist/examples/shop/main.js`; examples/README.md has the requests to send. An application
 * outside this repository imports '@sealtrail/sdk' where these files import '../../sdk'.
 */
import { createAudit, type AuditFailure } from '../../sdk/index.ts';
import { createCardGateway } from './card-gateway.ts';
import { sweepSessions } from './session-sweep.ts';
import { createSessions } from './sessions.ts';
import { readSettings } from './settings.ts';
import { createShop } from './shop.ts';
import { startTracing } from './tracing.ts';
import { createWebApp, openAppLog } from './web-app.ts';

const SWEEP_MS = 60_000;

async function main(): Promise<void> {
  const settings = readSettings(process.env);
  const tracing = startTracing('shop', settings.tracesFile);
  const appLog = openAppLog(settings.appLogFile);

  const web = await createWebApp('shop', appLog);
  const audit = createAudit({
    service: 'shop',
    serviceVersion: '1.0.0',
    vocabulary: settings.vocabulary,
    redactionKey: settings.redactionKey,
    socketPath: settings.socketPath,
    timeoutMs: settings.auditTimeoutMs,
    // Where logins wait while the agent is away: SEALTRAIL_SPOOL_DIR, or `spool` in the data directory.
    spool: true,
    // The alert: codes and names, never what was in the event.
    onAuditFailure: ({ error: { code, hint }, ...failure }: AuditFailure) =>
      web.log.error({ code, hint, ...failure }, 'not audited'),
  });
  const sessions = createSessions();
  const gateway = createCardGateway(await createWebApp('card-gateway', appLog));
  const gatewayUrl = await gateway.listen({ host: '127.0.0.1', port: 0 });
  const shop = createShop({ web, audit, sessions, gatewayUrl });
  const shopUrl = await shop.listen({ host: '127.0.0.1', port: settings.port });
  const sweep = setInterval(() => void sweepSessions(sessions, audit, web.log), SWEEP_MS);

  console.error(`the shop listens on ${shopUrl}, its card gateway on ${gatewayUrl}`);
  console.error(`  audit events  ${settings.socketPath}`);
  console.error(`  app log       ${settings.appLogFile ?? 'stdout'}`);
  console.error(`  traces        ${settings.tracesFile ?? 'OTLP'}`);

  async function stop(): Promise<void> {
    clearInterval(sweep);
    await shop.close();
    await gateway.close();
    await audit.close();
    await tracing.shutdown();
  }
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void stop());
}

await main();
