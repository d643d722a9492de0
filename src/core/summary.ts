import type { AttemptNote } from "./attempt-note.ts";
import { isObject } from "./json.ts";
import type { Json } from "./json.ts";

/**
 * What is kept of an ended task for people: who, when, how long, how it ended. Never a word of prompt or answer. All
 * durations are ms; absent means that it did not come to that.
 */
export interface TaskSummary {
  /** Task id. */
  readonly task: string;
  /** The id shown to the client. */
  readonly request: string;
  readonly endpoint: string;
  /** Model key; of a refused request the name as the client wrote it, empty when it was not read. */
  readonly model: string;
  /** Wall clock, ms since 1970, when the gateway accepted the request. */
  readonly at: number;
  /** `ok` or a fault code. */
  readonly code: string;
  /** HTTP status. */
  readonly status: number;
  /** From accepting the request to its end. */
  readonly totalMs: number;
  readonly stream?: boolean | undefined;
  /** Worker of the last attempt that sent frames. */
  readonly worker?: string | undefined;
  /** The backend that the last attempt asked. */
  readonly backend?: string | undefined;
  /** Attempts that are known of. */
  readonly attempts?: number | undefined;
  /** To whom a fault is put down; absent for an answer. */
  readonly cause?: string | undefined;
  /** How earlier attempts failed, the oldest first; absent for none. */
  readonly tries?: readonly AttemptNote[] | undefined;
  /** From accepting the request to Redis's confirmation. */
  readonly queuedMs?: number | undefined;
  /** From accepting the request to the claim of the attempt that answered. */
  readonly claimedMs?: number | undefined;
  /** From that claim to the backend's first byte. */
  readonly backendMs?: number | undefined;
  /** From accepting the request to the first byte for the client. */
  readonly firstByteMs?: number | undefined;
  /** The phase in which the client left. */
  readonly leftIn?: string | undefined;
  readonly promptTokens?: number | undefined;
  readonly completionTokens?: number | undefined;
  /** Bytes of the answer. */
  readonly bytes?: number | undefined;
}

/** True when the member that every summary has are there; others are as a newer version may have left them. */
export function isSummary(given: unknown): boolean {
  const value = given as Json | undefined;
  if (!isObject(value)) return false;
  const texts = [value["task"], value["request"], value["endpoint"], value["model"], value["code"]];
  const numbers = [value["at"], value["status"], value["totalMs"]];
  return (
    texts.every((text) => typeof text === "string") && numbers.every((number) => typeof number === "number")
  );
}
