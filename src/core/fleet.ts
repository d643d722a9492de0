import type { ModelCard } from "./model.ts";

/** What processes tell about themselves. Extra fields of newer versions are ignored. */

export interface WorkerAnnouncement {
  readonly id: string;
  readonly version: string;
  readonly host: string;
  readonly pid: number;
  /** Ms since 1970. */
  readonly startedAt: number;
  readonly seenAt: number;
  readonly draining: boolean;
  readonly backends: readonly BackendAnnouncement[];
}

export interface BackendAnnouncement {
  readonly name: string;
  readonly kind: string;
  readonly url: string;
  readonly slots: number;
  /** Slots in use. */
  readonly busy: number;
  readonly healthy: boolean;
  /** Empty while the backend is not healthy. */
  readonly models: readonly ModelCard[];
}

export interface GatewayAnnouncement {
  readonly tag: string;
  readonly version: string;
  readonly host: string;
  readonly pid: number;
  readonly port: number;
  readonly startedAt: number;
  readonly seenAt: number;
  /** Tasks open at this gateway. */
  readonly open: number;
}
