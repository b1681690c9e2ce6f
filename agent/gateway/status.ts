/** The status of a gateway, as GET /status gives it. */
import type { ConsumptionStatus } from './consumption.ts';
import type { GatewayCounts } from './totals.ts';

export interface GatewayStatus extends ConsumptionStatus, GatewayCounts {
  readonly gateway: string;
  readonly version: string;
  readonly pid: number;
  readonly started_at: string;
}
