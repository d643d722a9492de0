/** Changes the HTTP binary so that it takes HTTP/1.0, as {@link GRAFTS} says. */
import { Fault } from "../core/fault.ts";
import { GRAFTS } from "./http10-grafts.ts";
import type { Graft } from "./http10-grafts.ts";

/** ELF, 64 bit: constants and places of the specification. */
const X86_64 = 62;
const PT_LOAD = 1;
const PF_X = 1;
const MACHINE_AT = 18;
const HEADERS_AT = 32;
const HEADER_SIZE_AT = 54;
const HEADER_COUNT_AT = 56;

/** The smallest unit that systems map: what follows the code up to its end is mapped, too, and empty. */
const PAGE_BYTES = 4096;
const ALIGN_BYTES = 16;
const CAVE_BYTES = 128;

/** The code of the library, as it is loaded. */
interface Code {
  /** Place of its program header in the file. */
  readonly headerAt: number;
  /** In the file, and in memory alike. */
  readonly start: number;
  readonly end: number;
}

/**
 * Gives a copy that takes HTTP/1.0; the argument is not changed. Throws an `internal` fault when the file is not one of
 * those that the grafts were made for, or has been changed already.
 */
export function acceptHttp10(bytes: Buffer): Buffer {
  const elf = Buffer.from(bytes);
  const machine = elf.length < 64 ? 0 : elf.readUInt16LE(MACHINE_AT);
  const grafts = GRAFTS.get(machine);
  if (grafts === undefined) throw refusal("no change is known for its processor");
  const code = codeOf(elf);
  let free = align(code.end);
  for (const graft of grafts) {
    const start = placeOf(bytes, graft);
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
  throw refusal("its code is not where it is looked for");
}

/** Looks for the longest part without gaps, and compares the rest there. */
function placeOf(bytes: Buffer, { name, pattern }: Graft): number {
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

/** Where a piece of code goes, and what it may jump to. */
interface Place {
  readonly machine: number;
  readonly at: number;
  /** Of its graft's pattern. */
  readonly start: number;
  /** Of its graft. */
  readonly cave?: number;
}

/** Returns how many bytes were written. */
function write(elf: Buffer, place: Place, template: string): number {
  const text = template.replaceAll(" ", "");
  let at = place.at;
  for (let read = 0; read < text.length;) {
    const end = text.startsWith("{", read) ? text.indexOf("}", read) + 1 : read + 2;
    const part = text.slice(read, end);
    if (part.startsWith("{")) at += jump(elf, { ...place, at }, part.slice(1, -1));
    else at = elf.writeUInt8(Number.parseInt(part, 16), at);
    read = end;
  }
  return at - place.at;
}

/** Writes a jump or a call, and returns its length in bytes. */
function jump(elf: Buffer, { machine, at, start, cave = start }: Place, what: string): number {
  const isCall = what === "call";
  const target = what.startsWith("+") ? start + Number(what.slice(1)) : cave;
  if (machine === X86_64) {
    elf.writeUInt8(isCall ? 0xe8 : 0xe9, at);
    elf.writeInt32LE(target - (at + 5), at + 1);
    return 5;
  }
  const words = ((target - at) / 4) & 0x3_ff_ff_ff;
  elf.writeUInt32LE(((isCall ? 0x94_00_00_00 : 0x14_00_00_00) | words) >>> 0, at);
  return 4;
}

/** Makes what was written behind the code a part of it. */
function grow(elf: Buffer, { headerAt, start, end }: Code, free: number): void {
  const room = Math.ceil(end / PAGE_BYTES) * PAGE_BYTES;
  if (free > room) throw refusal("there is no room behind its code");
  for (const at of [32, 40]) elf.writeBigUInt64LE(BigInt(free - start), headerAt + at);
}

/** Whether the largest cave fits there. */
function isEmpty(elf: Buffer, at: number): boolean {
  return elf.subarray(at, at + CAVE_BYTES).every((byte) => byte === 0);
}

function align(place: number): number {
  return Math.ceil(place / ALIGN_BYTES) * ALIGN_BYTES;
}

function refusal(reason: string): Fault {
  return new Fault("internal", `The HTTP binary cannot be changed to take HTTP/1.0 (${reason}).`);
}
