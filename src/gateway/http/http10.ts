/** Changes the HTTP binary so that it accepts HTTP/1.0, by the data in {@link GRAFTS}. */
import { Fault } from "../../core/fault.ts";
import { GRAFTS } from "./http10-grafts.ts";
import type { Graft } from "./http10-grafts.ts";

/** ELF, 64 bit: constants and offsets of the specification. */
const X86_64 = 62;
const PT_LOAD = 1;
const PF_X = 1;
const MACHINE_AT = 18;
const HEADERS_AT = 32;
const HEADER_SIZE_AT = 54;
const HEADER_COUNT_AT = 56;

/** The smallest unit that systems map. The rest of the last page of the code is mapped, too, and empty. */
const PAGE_BYTES = 4096;
const ALIGN_BYTES = 16;
const CAVE_BYTES = 128;

/** The code of the library, as it is loaded. */
interface Code {
  /** Offset of its program header in the file. */
  readonly headerAt: number;
  /** Offset in the file, and the same in memory. */
  readonly start: number;
  readonly end: number;
}

/**
 * Returns a copy that accepts HTTP/1.0; the argument is not changed.
 * @throws Fault `internal` when the grafts were not made for the file, or when it has been changed already
 */
export function acceptHttp10(bytes: Buffer): Buffer {
  const elf = Buffer.from(bytes);
  const machine = elf.length < 64 ? 0 : elf.readUInt16LE(MACHINE_AT);
  const grafts = GRAFTS.get(machine);
  if (grafts === undefined) throw refusal("no change is known for its processor");
  const code = codeOf(elf);
  let free = align(code.end);
  for (const graft of grafts) {
    const start = offsetOf(bytes, graft);
    const cave = free;
    if (graft.cave !== undefined) {
      if (!isEmpty(elf, cave)) throw refusal("the place behind its code is taken");
      free = align(cave + write(elf, { machine, at: cave, start }, graft.cave));
    }
    write(elf, { machine, at: start + graft.at, start, cave }, graft.bytes);
  }
  grow(elf, code, free);
  return elf;
}

/** The only part that runs; the grafts' caves lie behind it. */
function codeOf(elf: Buffer): Code {
  const size = elf.readUInt16LE(HEADER_SIZE_AT);
  for (let index = 0; index < elf.readUInt16LE(HEADER_COUNT_AT); index++) {
    const headerAt = Number(elf.readBigUInt64LE(HEADERS_AT)) + index * size;
    const isCode = elf.readUInt32LE(headerAt) === PT_LOAD && (elf.readUInt32LE(headerAt + 4) & PF_X) !== 0;
    if (!isCode) continue;
    const [start, address, , bytes] = [8, 16, 24, 32].map((at) => Number(elf.readBigUInt64LE(headerAt + at)));
    if (start === undefined || bytes === undefined || start !== address) break;
    return { headerAt, start, end: start + bytes };
  }
  throw refusal("its code is not at the expected offset");
}

/** Finds the longest part without gaps, and compares the rest there. */
function offsetOf(bytes: Buffer, { name, pattern }: Graft): number {
  const text = pattern.replaceAll(" ", "");
  const known = text.split("..").reduce((one, other) => (other.length > one.length ? other : one));
  const before = text.indexOf(known) / 2;
  const anchor = Buffer.from(known, "hex");
  const found: number[] = [];
  for (let at = bytes.indexOf(anchor); at >= 0; at = bytes.indexOf(anchor, at + 1)) {
    if (at >= before && fits(bytes, at - before, text)) found.push(at - before);
  }
  const [first] = found;
  if (first === undefined || found.length > 1) throw refusal(`${found.length} places for ${name}`);
  return first;
}

function fits(bytes: Buffer, start: number, text: string): boolean {
  for (let at = 0; at < text.length; at += 2) {
    const wanted = text.slice(at, at + 2);
    if (wanted !== ".." && bytes[start + at / 2] !== Number.parseInt(wanted, 16)) return false;
  }
  return true;
}

/** The offset at which code is written, and the offsets that it may jump to. */
interface Target {
  readonly machine: number;
  readonly at: number;
  /** Offset of the pattern of its graft. */
  readonly start: number;
  /** Offset of the cave of its graft. */
  readonly cave?: number;
}

/** Returns the number of bytes written. */
function write(elf: Buffer, target: Target, template: string): number {
  const text = template.replaceAll(" ", "");
  let at = target.at;
  for (let read = 0; read < text.length;) {
    const end = text.startsWith("{", read) ? text.indexOf("}", read) + 1 : read + 2;
    const part = text.slice(read, end);
    if (part.startsWith("{")) at += jump(elf, { ...target, at }, part.slice(1, -1));
    else at = elf.writeUInt8(Number.parseInt(part, 16), at);
    read = end;
  }
  return at - target.at;
}

/** Writes a jump or a call, and returns its length in bytes. */
function jump(elf: Buffer, { machine, at, start, cave = start }: Target, to: string): number {
  const isCall = to === "call";
  const goal = to.startsWith("+") ? start + Number(to.slice(1)) : cave;
  if (machine === X86_64) {
    elf.writeUInt8(isCall ? 0xe8 : 0xe9, at);
    elf.writeInt32LE(goal - (at + 5), at + 1);
    return 5;
  }
  const words = ((goal - at) / 4) & 0x3_ff_ff_ff;
  elf.writeUInt32LE(((isCall ? 0x94_00_00_00 : 0x14_00_00_00) | words) >>> 0, at);
  return 4;
}

/** Extends the code by the bytes written behind it. */
function grow(elf: Buffer, { headerAt, start, end }: Code, free: number): void {
  const room = Math.ceil(end / PAGE_BYTES) * PAGE_BYTES;
  if (free > room) throw refusal("there is no room behind its code");
  for (const at of [32, 40]) elf.writeBigUInt64LE(BigInt(free - start), headerAt + at);
}

/** Returns whether the largest cave fits there. */
function isEmpty(elf: Buffer, at: number): boolean {
  return elf.subarray(at, at + CAVE_BYTES).every((byte) => byte === 0);
}

function align(offset: number): number {
  return Math.ceil(offset / ALIGN_BYTES) * ALIGN_BYTES;
}

function refusal(reason: string): Fault {
  return new Fault("internal", `The HTTP binary cannot be changed to accept HTTP/1.0 (${reason}).`);
}
