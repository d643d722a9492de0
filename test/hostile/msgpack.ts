import * as fc from "fast-check";

/** Bytes as somebody might put them into Redis who wants harm. */

function withLength(bytes: number, code: number, length: number): Buffer {
  const head = Buffer.alloc(1 + bytes);
  head[0] = code;
  head.writeUIntBE(length % 2 ** (8 * bytes), 1, bytes);
  return head;
}

const LENGTHS = [0, 1, 2, 4, 8, 16, 255, 65_535, 2 ** 24, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1];
const length = fc.oneof(fc.nat({ max: 20 }), fc.constantFrom(...LENGTHS));

/** A header of every kind that has a length: binary, extension, text, array, map. */
const header = fc
  .tuple(
    fc.constantFrom<[number, number]>(
      ...([0xc4, 0xc7, 0xd9] as const).map((code): [number, number] => [1, code]),
      ...([0xc5, 0xc8, 0xda, 0xdc, 0xde] as const).map((code): [number, number] => [2, code]),
      ...([0xc6, 0xc9, 0xdb, 0xdd, 0xdf] as const).map((code): [number, number] => [4, code]),
    ),
    length,
  )
  .map(([[bytes, code], count]) => withLength(bytes, code, count));

/** The extensions that libraries know: bundles, errors, ids, pointers, records, sets, arrays, expressions, times. */
const EXTENSIONS = [0x00, 0x42, 0x62, 0x65, 0x69, 0x70, 0x72, 0x73, 0x74, 0x78, 0xff];
const extension = fc
  .tuple(
    fc.constantFrom(0xd4, 0xd5, 0xd6, 0xd7, 0xd8),
    fc.constantFrom(...EXTENSIONS),
    fc.uint8Array({ maxLength: 16 }),
  )
  .map(([code, type, data]) => Buffer.concat([Buffer.from([code, type]), data]));
const nesting = fc
  .tuple(fc.constantFrom("91", "9f", "81a161", "dd00000001"), fc.constantFrom(3, 100, 20_000))
  .map(([hex, depth]) => Buffer.from(hex.repeat(depth), "hex"));
const proto = fc.constantFrom(
  Buffer.from("81a95f5f70726f746f5f5f81a46661756c7401", "hex"),
  Buffer.from("81ab636f6e7374727563746f7280", "hex"),
);
const scrap = fc.uint8Array({ maxLength: 24 }).map((bytes) => Buffer.from(bytes));

/** Bytes that look like msgpack and seldom are. */
export const msgpack: fc.Arbitrary<Buffer> = fc
  .array(fc.oneof(header, extension, nesting, proto, scrap), { minLength: 1, maxLength: 8 })
  .map((parts) => Buffer.concat(parts));

/** A sound value with some bytes changed, left out or put in. */
export function mutated(sound: Buffer): fc.Arbitrary<Buffer> {
  const change = fc.tuple(
    fc.nat({ max: sound.length - 1 }),
    fc.nat({ max: 3 }),
    fc.oneof(header, extension, proto, scrap),
  );
  return fc
    .array(change, { minLength: 1, maxLength: 3 })
    .map((changes) =>
      changes.reduce(
        (bytes, [at, cut, put]) => Buffer.concat([bytes.subarray(0, at), put, bytes.subarray(at + cut)]),
        sound,
      ),
    );
}
