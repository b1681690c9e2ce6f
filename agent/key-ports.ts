/** Through these the key ring meets the ledger, the checkpoints and those who ask. */
import type { KeyWindow, Revocation } from '../ledger/trust.ts';
import type { Json } from '../schemas/event.ts';
import type { SigningKey } from './signing-key.ts';

export interface KeyPorts {
  /** Records an event of the agent itself; false when the ledger does not take it. */
  record(
    action: string,
    resource: { readonly type: string; readonly id: string },
    metadata: { readonly [name: string]: Json },
  ): Promise<boolean>;
  /** Lets these keys sign from now on, all of them each checkpoint. */
  signWith(keys: readonly SigningKey[]): void;
  /** Signs and anchors all that is durable; resolves with the largest size signed of each origin. */
  signAll(): Promise<ReadonlyMap<string, bigint>>;
}

/** The keys of an agent, as they are now. */
export interface KeyReport {
  /** The key that signs. */
  readonly current: string;
  /** The key that is prepared to take over; null: none is. */
  readonly next: string | null;
  /** Whether it is taking over, or was when it was cut off. */
  readonly rotating: boolean;
  readonly number: number;
  readonly windows: readonly KeyWindow[];
  readonly revoked: readonly Revocation[];
}
