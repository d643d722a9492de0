/**
 * Patches the HTTP binary so that it loads on glibc 2.36 and 2.37. It was built on a newer system. It needs up to three
 * C23 spellings of old functions under the version GLIBC_2.38, and nothing else of that version. Each spelling ends in
 * the plain name. A symbol that points 9 bytes further into its own string therefore names the old function. The new
 * functions differ in one point: they also read 0b literals.
 */
import { Fault } from "../../core/fault.ts";

/** The plain function follows this prefix in the very same string. */
const C23_PREFIX = "__isoc23_";
const C23_FUNCTIONS: ReadonlySet<string> = new Set([
  "__isoc23_strtol",
  "__isoc23_strtoul",
  "__isoc23_sscanf",
]);
const TOO_NEW = "GLIBC_2.38";
const LIBC = "libc.so.6";

/** The version of the plain functions, by ELF machine: the first glibc of that processor. */
const BASE_VERSION: ReadonlyMap<number, string> = new Map([
  [62, "GLIBC_2.2.5"], // x86-64
  [183, "GLIBC_2.17"], // AArch64
]);

/** Section types of the ELF and GNU specifications. */
const SHT_DYNSYM = 11;
const SHT_GNU_VERNEED = 0x6ffffffe;
const SHT_GNU_VERSYM = 0x6fffffff;
const SYMBOL_BYTES = 24;
/** A weak version need may be missing at run time. */
const VER_FLG_WEAK = 2;
/** The top bit of a version index hides the symbol; the rest is the index. */
const VERSION_MASK = 0x7fff;

interface Section {
  readonly offset: number;
  readonly size: number;
  /** Index of the section that holds its strings. */
  readonly link: number;
}

interface VersionNeed {
  readonly library: string;
  readonly version: string;
  readonly index: number;
  /** Offset of its 16 flag bits in the file. */
  readonly flagsAt: number;
}

/**
 * Returns an adapted copy of a 64-bit little-endian ELF library of x64 or arm64; the argument is not changed. Adapting
 * an adapted copy changes nothing.
 * @throws Fault `internal` when the file is something else, or needs another symbol of GLIBC_2.38
 */
export function patchForOlderGlibc(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  try {
    adapt(copy);
  } catch (error) {
    if (error instanceof RangeError) throw refusal("it is cut off");
    throw error;
  }
  return copy;
}

function adapt(elf: Buffer): void {
  const base = baseVersion(elf);
  const needs = versionNeeds(elf);
  for (const need of needs.filter(({ version }) => version === TOO_NEW)) {
    const plain = needs.find(({ library, version }) => library === LIBC && version === base);
    if (plain === undefined) throw refusal(`it has no ${base}`);
    renameSymbols(elf, need.index, plain.index);
    elf.writeUInt16LE(elf.readUInt16LE(need.flagsAt) | VER_FLG_WEAK, need.flagsAt);
  }
}

function baseVersion(elf: Buffer): string {
  const isElf64 = elf.length >= 64 && elf.readUInt32BE(0) === 0x7f454c46 && elf[4] === 2 && elf[5] === 1;
  const base = isElf64 ? BASE_VERSION.get(elf.readUInt16LE(18)) : undefined;
  if (base === undefined) throw refusal("it is no 64-bit ELF file of x64 or arm64");
  return base;
}

/** Gives every known symbol of version `from` its plain name and version `to`. */
function renameSymbols(elf: Buffer, from: number, to: number): void {
  const symbols = sectionOfType(elf, SHT_DYNSYM);
  const versions = sectionOfType(elf, SHT_GNU_VERSYM);
  const strings = sectionAt(elf, symbols.link);
  for (let i = 0; i < symbols.size / SYMBOL_BYTES; i++) {
    const versionAt = versions.offset + 2 * i;
    if ((elf.readUInt16LE(versionAt) & VERSION_MASK) !== from) continue;
    const nameAt = symbols.offset + SYMBOL_BYTES * i;
    const name = stringAt(elf, strings, elf.readUInt32LE(nameAt));
    if (!C23_FUNCTIONS.has(name)) throw refusal(`it needs ${name} of ${TOO_NEW}`);
    elf.writeUInt32LE(elf.readUInt32LE(nameAt) + C23_PREFIX.length, nameAt);
    elf.writeUInt16LE(to, versionAt);
  }
}

/** Walks the two-level list of .gnu.version_r: libraries (Elf64_Verneed), and the versions of each (Elf64_Vernaux). */
function versionNeeds(elf: Buffer): VersionNeed[] {
  const section = sectionOfType(elf, SHT_GNU_VERNEED);
  const strings = sectionAt(elf, section.link);
  const needs: VersionNeed[] = [];
  for (let at = section.offset, next = -1; next !== 0; at += next) {
    const library = stringAt(elf, strings, elf.readUInt32LE(at + 4));
    let entry = at + elf.readUInt32LE(at + 8);
    for (let left = elf.readUInt16LE(at + 2); left > 0; left--) {
      const version = stringAt(elf, strings, elf.readUInt32LE(entry + 8));
      needs.push({ library, version, index: elf.readUInt16LE(entry + 6), flagsAt: entry + 4 });
      entry += elf.readUInt32LE(entry + 12);
    }
    next = elf.readUInt32LE(at + 12);
  }
  return needs;
}

function sectionOfType(elf: Buffer, type: number): Section {
  const count = elf.readUInt16LE(60);
  for (let index = 0; index < count; index++) {
    if (elf.readUInt32LE(sectionHeader(elf, index) + 4) === type) return sectionAt(elf, index);
  }
  throw refusal(`it has no section of type ${type}`);
}

function sectionAt(elf: Buffer, index: number): Section {
  const header = sectionHeader(elf, index);
  return {
    offset: Number(elf.readBigUInt64LE(header + 24)),
    size: Number(elf.readBigUInt64LE(header + 32)),
    link: elf.readUInt32LE(header + 40),
  };
}

/** Offset in the file of one section's header. */
function sectionHeader(elf: Buffer, index: number): number {
  return Number(elf.readBigUInt64LE(40)) + index * elf.readUInt16LE(58);
}

function stringAt(elf: Buffer, strings: Section, offset: number): string {
  const start = strings.offset + offset;
  return elf.toString("latin1", start, elf.indexOf(0, start));
}

function refusal(reason: string): Fault {
  return new Fault(
    "internal",
    `The HTTP binary cannot be adapted to this glibc (${reason}): use a system with glibc 2.38 or newer.`,
  );
}
