import type { Exchange } from "./exchange.ts";

/** Reply streams that are read by one command. */
const TASKS = 256;

/** Bytes that one answer of Redis should have at the most. */
const BYTES = 16 * 1024 * 1024;

/** Bytes that a reply in one piece may have when its size is not told. Larger ones are told of, see `isLarge`. */
const WHOLE_BYTES = 4 * 1024 * 1024;

/**
 * The next ones of the exchanges that want their replies read: as many as one answer of Redis should hold. A large reply
 * is read alone, after all others, and only when there is room for it; it stays wanted until then.
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
