/**
 * Changes of the HTTP binary's machine code, as data, so that it accepts HTTP/1.0. `docs/decisions/0042-*` gives the
 * reasons. Bytes are hex; in a pattern `..` stands for any byte.
 *
 * - `version`: the parser knows one version, and this code runs before it refuses another. It turns the text `HTTP/1.0`
 *   into a header line, `HTTP:1.0`, and the parser goes on. A handler sees the header `http` with the value 1.0 first.
 *   A head in several pieces is parsed again from its beginning, after the parser has made that name lower case. The
 *   code therefore accepts that form, too.
 * - `piece`: does the same where a piece ends within the version.
 * - `host` and `hostLater`: let requests in that name no host. Handlers refuse such requests of HTTP/1.1.
 * - `length`: sends no Content-Length with an answer in pieces of {@link NO_LENGTH} bytes. HTTP/1.0 has no chunks, and
 *   such an answer ends with its connection.
 * - `closing`: lets such an answer close the connection, without writing the header for it into the answer.
 * - `words`: names the versions of HTTP to a client that speaks another protocol.
 *
 * An HTTP/1.1 request passes only `length`, three instructions per write of an answer.
 */

/** Total size (bytes) of an answer in pieces whose head has no length. */
export const NO_LENGTH: number = 2 ** 62;

/** A part of the binary, and the code that replaces it. */
export interface Graft {
  readonly name: string;
  /** Bytes that occur exactly once. */
  readonly pattern: string;
  /** Bytes from the beginning of the pattern to the part that is overwritten. */
  readonly at: number;
  /** The new bytes; `{cave}` is a jump to `cave`, `{call}` a call of it. */
  readonly bytes: string;
  /** Code in free space; `{+N}` and `{-N}` jump to N bytes after, or before, the beginning of the pattern. */
  readonly cave?: string;
}

const WORDS: Graft = {
  name: "words",
  pattern: Buffer.from("This server does not support HTTP/1.0.").toString("hex"),
  at: 0,
  bytes: Buffer.from("This port speaks only HTTP/1.1 or 1.0.").toString("hex"),
};

const X64: readonly Graft[] = [
  {
    name: "version",
    pattern:
      "49b920485454502f312e 4c3308 49ba54502f312e310d0a 4c335003 4d09ca 0f8406010000 4531f6 80380d eb27",
    at: 0x24,
    bytes: "{cave} 909090",
    cave:
      "4d85c9 740f" + // test r9, r9; je +15: the first eight bytes are " HTTP/1."
      "49ba0020202020150000 4d39d1 7516" + // or else " http:1."; jne other
      "8178072e300d0a 750d" + // cmp dword [rax+7], ".0\r\n"; jne other
      "c640053a 4c8d7001 {+0x12a}" + // mov byte [rax+5], ':'; lea r14, [rax+1]; to the headers
      "4531f6 80380d {+0x53}", // other: as before
  },
  {
    name: "piece",
    pattern: "83fe0b ba0b000000 0f42d6 488d3d........ 4889c6 4d89c6 e8........ 4d89f0",
    at: 0x18,
    bytes: "{call}",
    cave:
      "31c0 31c9" + // eax = 0, the same; ecx: bytes compared
      "39d1 731b 448a0c0f 443a0c0e 740b" + // until edx bytes are, or two differ
      "83f908 750a 803c0e30 7504" + // but for the last digit, which may be 0
      "ffc1 ebe3 ffc0 c3",
  },
  {
    name: "host",
    pattern: "e8........ 41be03000000 4885d2 0f84........ 488d15........ 4c8da424a0000000 be11000000",
    at: 0xe,
    bytes: "909090909090",
  },
  {
    name: "hostLater",
    pattern: "e8........ bd03000000 4885d2 0f84........ be11000000",
    at: 0xd,
    bytes: "909090909090",
  },
  {
    name: "length",
    pattern: "8b83ec000000 4d85ed 4d0f44ee 4084ed",
    at: 6,
    bytes: "{cave} 9090",
    cave: "4d85ed 4d0f44ee 490fbae53e 7303 4531ff {+0xd}", // bit 62 of the size: r15d = 0, no length
  },
  {
    name: "closing",
    pattern: "8b83ec000000 4d85ed 4d0f44ee 4084ed 4c896c2440 7433 a810 7526",
    at: 0x18,
    bytes: "16", // test al, 0x16: a stream has begun, or the header was written
  },
  WORDS,
];

const ARM64: readonly Graft[] = [
  {
    name: "version",
    pattern: "3f010beb 890a8ad2 e925a6f2 c925c6f2 a941e1f2 400149fa e0080054 08014039 1f350071 0c000014",
    at: 0x1c,
    bytes: "{cave}",
    cave:
      "090140f9 3f010beb e0000054" + // the first eight bytes are x11, " HTTP/1."
      "29010bca 0a0084d2 0a04a4f2 0aa4c2f2 3f010aeb 41010054" + // or else " http:1."
      "097140b8 ca058652 aa41a172 3f010a6b a1000054" + // and then ".0\r\n"
      "49078052 09150039 0f050091 {+0x134}" + // ':' for '/'; x15 = x8 + 1; to the headers
      "08014039 {+0x20}", // other: as before
  },
  {
    name: "piece",
    pattern: "3f2d0071 e10308aa 22318a1a f30304aa ........ 1f000071 e40313aa ef079f1a",
    at: 0x10,
    bytes: "{call}",
    cave:
      "030080d2 7f00026b 62010054 05686338 26686338 bf00066b a0000054" +
      "7f200071 e1000054 dfc00071 a1000054" + // the ninth may be 0
      "63040091 f5ffff17 00008052 c0035fd6 20008052 c0035fd6",
  },
  {
    name: "host",
    pattern: "81008052 ........ ........ fb030faa ........ ......b4 e0830191 21028052",
    at: 0x14,
    bytes: "1f2003d5",
  },
  {
    name: "hostLater",
    pattern: "e0830191 81008052 ........ ......b4 ........ ........ e0830191 21028052",
    at: 0xc,
    bytes: "1f2003d5",
  },
  {
    name: "length",
    pattern:
      "08ec40b9 f803062a f703052a f603042a f30300aa f90303aa f50302aa f40301aa ........ 3f0300f1 9902999a",
    at: 0x28,
    bytes: "{cave}",
    cave: "9902999a 5900f0b6 17008052 {+0x2c}", // bit 62 of the size: w23 = 0, no length
  },
  {
    name: "closing",
    pattern:
      "48012037 ........ ........ ........ ........ e00313aa 41018052 a3008052 ........ 68ee40b9 08011c32 68ee00b9",
    at: 0,
    bytes: "{cave}",
    cave: "88000837 68001037 48002037 {+0x4} {+0x28}", // bits 1, 2 and 4 of w8
  },
  WORDS,
];

/** By ELF machine. */
export const GRAFTS: ReadonlyMap<number, readonly Graft[]> = new Map([
  [62, X64],
  [183, ARM64],
]);
