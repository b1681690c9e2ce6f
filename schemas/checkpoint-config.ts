/** How often the agent signs its streams, a part of the configuration. */
export interface CheckpointConfig {
  readonly enabled: boolean;
  /** A record is under a signed checkpoint after so long, */
  readonly interval_ms: number;
  /** or as soon as so many are not. */
  readonly records_max: number;
  /** The anchor log is signed so often, also when nothing happens. */
  readonly anchor_interval_ms: number;
}
