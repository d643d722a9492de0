import { createBrotliDecompress, createGunzip, createInflate, createZstdDecompress } from "node:zlib";
import { Fault } from "../core/fault.ts";
import type { Source } from "./backend.ts";
import type { ReplyHeaders } from "./http-exchange.ts";

type Inflating = ReturnType<typeof createGunzip>;

const CODINGS: ReadonlyMap<string, () => Inflating> = new Map<string, () => Inflating>([
  ["gzip", createGunzip],
  ["x-gzip", createGunzip],
  ["deflate", createInflate],
  ["br", createBrotliDecompress],
  ["zstd", createZstdDecompress],
]);

/** Takes the bytes of a decompressed reply. The last call is exactly one of `onEnd` and `onFail`. */
export interface DecompressedReceiver {
  /** An error of this callback ends the decompression. */
  onChunk(chunk: Buffer): void;
  onEnd(): void;
  onFail(fault: Fault): void;
  /** The decompressor accepts more bytes again. */
  onDrain(): void;
}

/** Decompresses a reply that a proxy has compressed, although no request allows a coding. */
export class Decompressor implements Source {
  readonly #stream: Inflating;
  readonly #receiver: DecompressedReceiver;
  #isEmpty = true;

  private constructor(stream: Inflating, receiver: DecompressedReceiver) {
    this.#stream = stream;
    this.#receiver = receiver;
    stream.on("data", (chunk: Buffer) => {
      this.#take(chunk);
    });
    stream.on("end", () => {
      receiver.onEnd();
    });
    stream.on("drain", () => {
      receiver.onDrain();
    });
    stream.on("error", (error) => {
      const fault = error instanceof Fault ? error : new Fault("backend_lost", BROKEN, { cause: error });
      receiver.onFail(fault);
    });
  }

  /** A decompressor for a reply; undefined when it is not compressed. Throws `backend_error` for an unknown coding. */
  static of(headers: ReplyHeaders, receiver: DecompressedReceiver): Decompressor | undefined {
    const coding = String(headers["content-encoding"] ?? "")
      .trim()
      .toLowerCase();
    if (coding === "" || coding === "identity") return undefined;
    const open = CODINGS.get(coding);
    if (open === undefined) {
      throw new Fault("backend_error", "the backend's reply is compressed in an unknown way");
    }
    return new Decompressor(open(), receiver);
  }

  /** Takes compressed bytes. False: send no more until `onDrain`, as the buffered bytes would fill the memory. */
  push(chunk: Buffer): boolean {
    this.#isEmpty = false;
    return this.#stream.write(chunk);
  }

  /** The last byte has come. A truncated reply fails; a reply without any bytes is complete. */
  end(): void {
    if (this.#isEmpty) this.#receiver.onEnd();
    else this.#stream.end();
  }

  pause(): void {
    this.#stream.pause();
  }

  resume(): void {
    this.#stream.resume();
  }

  /** Ends all callbacks. Idempotent. */
  stop(): void {
    this.#stream.removeAllListeners("data").removeAllListeners("end").removeAllListeners("drain");
    this.#stream.destroy();
  }

  #take(chunk: Buffer): void {
    try {
      this.#receiver.onChunk(chunk);
    } catch (error) {
      this.#stream.destroy(error instanceof Error ? error : new Error(String(error)));
    }
  }
}

const BROKEN = "the compressed reply of the backend is broken";
