import type { Settings } from "../config/settings.ts";
import { systemAmbient } from "../core/ambient.ts";
import type { Connection } from "../redis/connection.ts";
import { maxMemoryOf } from "../redis/server.ts";
import type { GatewayMetrics } from "../telemetry/gateway-metrics.ts";
import type { Exchange } from "./exchange.ts";
import { HeldReplies } from "./held-replies.ts";
import { automaticRoom, ownMemory } from "./reply-room.ts";
import { Tails } from "./tails.ts";

/** How often it is looked at what replies hold, ms. */
const LOOK_MS = 500;

export interface HeldOptions {
  readonly settings: Pick<Settings, "maxRepliesBytes">;
  readonly commands: Connection;
  readonly metrics: Pick<GatewayMetrics, "observe" | "observeEach" | "replyCut">;
  /** The open ones. */
  readonly exchanges: () => Iterable<Exchange>;
}

/** The replies that a gateway holds for its clients, and their bounds. */
export interface Held {
  readonly tails: Tails;
  readonly replies: HeldReplies;
  readonly stop: () => void;
}

/** Begins to look after what replies hold, and shows it. */
export async function openHeld({ settings, commands, metrics, exchanges }: HeldOptions): Promise<Held> {
  const { mono } = systemAmbient;
  const tails = new Tails(mono);
  const limit = settings.maxRepliesBytes || automaticRoom(ownMemory(await maxMemoryOf(commands)));
  const replies = new HeldReplies({ limit, mono, tails, exchanges, onCut: metrics.replyCut });
  metrics.observe("held_replies_limit_bytes", "Most bytes of replies that may wait for clients", () => limit);
  metrics.observeEach("held_replies_bytes", "Bytes of replies that wait for clients, by place", {
    label: "place",
    read: () => [
      ["gateway", replies.here],
      ["redis", replies.behind],
    ],
  });
  const timer = setInterval(() => {
    replies.look();
  }, LOOK_MS);
  const stop = (): void => {
    clearInterval(timer);
  };
  return { tails, replies, stop };
}
