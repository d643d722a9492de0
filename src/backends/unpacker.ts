import { createBrotliDecompress, createGunzip, createInflate, createZstdDecompress } from "node:zlib";
import { Fault } from "../core/fault.ts";
import type { Source } from "./backend.ts";
import type { ReplyHeaders } from "./receivers.ts";

type Inflating = ReturnType<typeof createGunzip>;

const CODINGS: ReadonlyMap<string, () => Inflating> = new Map<string, () => Inflating>([
  ["gzip", createGunzip],
  ["x-gzip", createGunzip],
  ["deflate", createInflate],
  ["br", createBrotliDecompress],
  ["zstd", createZstdDecompress],
]);

/** What takes the bytes of an unpacked reply. Exactly one of `end` and `fail` is called, as the last. */
export interface Unpacked {
  /** What it throws ends the unpacking. */
  onChunk(chunk: Buffer): void;
  onEnd(): void;
  onFail(fault: Fault): void;
  /** More bytes may be pushed again. */
  onDrain(): void;
}

/** Unpacks a reply that a proxy before the backend has compressed, though the requests name no coding. */
export class Unpacker implements Source {
  readonly #stream: Inflating;
  readonly #unpacked: Unpacked;
  #isEmpty = true;

  private constructor(stream: Inflating, unpacked: Unpacked) {
    this.#stream = stream;
    this.#unpacked = unpacked;
    stream.on("data", (chunk: Buffer) => {
      this.#take(chunk);
    });
    stream.on("end", () => {
      unpacked.onEnd();
    });
    stream.on("drain", () => {
      unpacked.onDrain();
    });
    stream.on("error", (error) => {
      const told = error instanceof Fault ? error : new Fault("backend_lost", BROKEN, { cause: error });
      unpacked.onFail(told);
    });
  }

  /** Undefined for a reply that is not compressed. Throws `backend_error` for a coding that is not known. */
  static of(headers: ReplyHeaders, unpacked: Unpacked): Unpacker | undefined {
    const coding = String(headers["content-encoding"] ?? "")
      .trim()
      .toLowerCase();
    if (coding === "" || coding === "identity") return undefined;
    const open = CODINGS.get(coding);
    if (open === undefined) {
      throw new Fault("backend_error", "the backend's reply is compressed in a way that is not known");
    }
    return new Unpacker(open(), unpacked);
  }

  /** False when nothing more is to come for now: packed bytes come faster than they are unpacked, and would fill the memory. */
  push(chunk: Buffer): boolean {
    this.#isEmpty = false;
    return this.#stream.write(chunk);
  }

  /** The last byte has come; a reply that was cut before it fails. One without any bytes is whole: nothing was packed. */
  end(): void {
    if (this.#isEmpty) this.#unpacked.onEnd();
    else this.#stream.end();
  }

  pause(): void {
    this.#stream.pause();
  }

  resume(): void {
    this.#stream.resume();
  }

  /** Nothing more is told. Idempotent. */
  stop(): void {
    this.#stream.removeAllListeners("data").removeAllListeners("end").removeAllListeners("drain");
    this.#stream.destroy();
  }

  #take(chunk: Buffer): void {
    try {
      this.#unpacked.onChunk(chunk);
    } catch (error) {
      this.#stream.destroy(error instanceof Error ? error : new Error(String(error)));
    }
  }
}

const BROKEN = "the backend's reply is compressed and broken";
