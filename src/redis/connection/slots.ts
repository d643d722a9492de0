import type { Argument } from "./connection.ts";

/** Number of slots of a Redis Cluster. */
export const SLOTS = 16_384;

/** CRC-16/XMODEM (polynomial 0x1021) of each byte. */
const TABLE = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8;
  for (let bit = 0; bit < 8; bit += 1) crc = (crc & 0x8000) === 0 ? crc << 1 : (crc << 1) ^ 0x1021;
  return crc & 0xffff;
});

/** The slot of a key or channel. Its hash tag counts when it has one (Redis Cluster specification, "Hash tags"). */
export function slotOf(key: string): number {
  let crc = 0;
  for (const byte of Buffer.from(hashTag(key) ?? key)) {
    crc = ((crc << 8) & 0xffff) ^ (TABLE[(crc >> 8) ^ byte] ?? 0);
  }
  return crc % SLOTS;
}

/** The text between the first brace and the next closing one; undefined when it is empty or missing. */
export function hashTag(key: string): string | undefined {
  const open = key.indexOf("{");
  const close = open === -1 ? -1 : key.indexOf("}", open + 1);
  return close > open + 1 ? key.slice(open + 1, close) : undefined;
}

/** Index of the first key among the arguments, for commands that do not begin with it. */
const KEY_AT: ReadonlyMap<string, number> = new Map([
  ["EVAL", 3],
  ["EVALSHA", 3],
  ["FCALL", 3],
  ["BLMPOP", 3],
  ["XGROUP", 2],
  ["XINFO", 2],
]);

/** The first key or channel of a command; "" for a command without any. */
export function keyOf(args: readonly Argument[]): string {
  const name = String(args[0]);
  const streams = name === "XREAD" || name === "XREADGROUP" ? args.indexOf("STREAMS") + 1 : undefined;
  return String(args[streams ?? KEY_AT.get(name) ?? 1] ?? "");
}
