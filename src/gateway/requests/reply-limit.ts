import { totalmem } from "node:os";
import { getHeapStatistics } from "node:v8";
import type { Settings } from "../../config/settings.ts";
import { systemAmbient } from "../../core/ambient.ts";
import { least } from "../../core/long-lists.ts";
import type { Connection } from "../../redis/connection/connection.ts";
import { maxMemoryOf } from "../../redis/connection/server.ts";
import type { GatewayMetrics } from "../../telemetry/gateway-metrics.ts";
import { PendingWrites } from "../http/pending-writes.ts";
import { HeldReplies } from "./admission.ts";
import type { Exchange } from "./exchange.ts";

const MIB = 1024 * 1024;

/** Bounds of the automatic bound: two of the largest replies fit, and no gateway needs more. */
const LEAST = 256 * MIB;
const MOST = 1024 * MIB;

/** The share of the memory that replies may take. */
const SHARE = 0.25;

/** Limits of memory (bytes); 0 where there is no limit. */
export interface MemoryLimits {
  /** The memory that this process, and this machine, may use. */
  readonly machine: number;
  readonly heap: number;
  /** The limit of Redis. */
  readonly maxMemory: number;
}

/** Bytes that the replies of a gateway may hold together where no setting says it. */
export function automaticRoom({ machine, heap, maxMemory }: MemoryLimits): number {
  const most = least([machine, heap, maxMemory].filter((bytes) => bytes > 0));
  return Math.round(Math.min(MOST, Math.max(LEAST, most * SHARE)));
}

/** Returns the limits of this process. */
export function ownMemory(maxMemory: number): MemoryLimits {
  // Without a limit it is 0, or larger than any machine.
  const constrained = process.constrainedMemory();
  const machine = constrained > 0 ? Math.min(constrained, totalmem()) : totalmem();
  return { machine, heap: getHeapStatistics().heap_size_limit, maxMemory };
}

/** Pause between two checks of the held replies, ms. */
const CHECK_MS = 500;

export interface HeldRepliesSource {
  readonly settings: Pick<Settings, "maxRepliesBytes">;
  readonly commands: Connection;
  readonly metrics: Pick<GatewayMetrics, "observe" | "observeEach" | "replyCut">;
  /** The open exchanges. */
  readonly exchanges: () => Iterable<Exchange>;
}

/** The replies that a gateway holds for its clients, and their bounds. */
export interface OpenHeldReplies {
  readonly pendingWrites: PendingWrites;
  readonly replies: HeldReplies;
  readonly stop: () => void;
}

/** Starts the checks of held replies, and shows their bytes as gauges. */
export async function openHeldReplies({
  settings,
  commands,
  metrics,
  exchanges,
}: HeldRepliesSource): Promise<OpenHeldReplies> {
  const { mono } = systemAmbient;
  const pendingWrites = new PendingWrites(mono);
  const limit = settings.maxRepliesBytes || automaticRoom(ownMemory(await maxMemoryOf(commands)));
  const replies = new HeldReplies({ limit, mono, pendingWrites, exchanges, onCut: metrics.replyCut });
  metrics.observe("held_replies_limit_bytes", "Most bytes of replies that may wait for clients", () => limit);
  metrics.observeEach("held_replies_bytes", "Bytes of replies that wait for clients, by place", {
    label: "place",
    read: () => [
      ["gateway", replies.here],
      ["redis", replies.behind],
    ],
  });
  const timer = setInterval(() => {
    replies.check();
  }, CHECK_MS);
  const stop = (): void => {
    clearInterval(timer);
  };
  return { pendingWrites, replies, stop };
}
