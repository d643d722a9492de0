import type { Exchange } from "./exchange.ts";

/** Reply streams that are read by one command. */
const TASKS = 256;

/** Most bytes that one answer of Redis should have. */
const BYTES = 16 * 1024 * 1024;

/** Bytes that a whole reply may have when its size is unknown. For a larger one see `Exchange.isLarge`. */
const WHOLE_BYTES = 4 * 1024 * 1024;

/**
 * Returns the next exchanges whose replies are read, as many as one answer of Redis should hold. A large reply is read
 * alone, after all others, and only when there is room for it. It stays wanted until then.
 */
export function nextBatch(wanted: Iterable<Exchange>, hasRoom: () => boolean): readonly Exchange[] {
  const batch: Exchange[] = [];
  let bytes = 0;
  let large: Exchange | undefined;
  for (const exchange of wanted) {
    if (exchange.isLarge) {
      large ??= exchange;
      continue;
    }
    bytes += exchange.task.stream ? exchange.behind : WHOLE_BYTES;
    if (batch.length === TASKS || (batch.length > 0 && bytes > BYTES)) return batch;
    batch.push(exchange);
  }
  if (batch.length > 0 || large === undefined) return batch;
  return hasRoom() ? [large] : [];
}
