import type { AttemptNote } from "./attempt-note.ts";
import { readKeyNames } from "./access/key-names.ts";
import type { KeyNames } from "./access/key-names.ts";
import { isObject } from "./json.ts";
import type { Json } from "./json.ts";

/**
 * The record of an ended task for people: client, times, outcome. It holds no text of prompt or answer. All durations
 * are ms; absent means not reached.
 */
export interface TaskSummary extends KeyNames {
  /** Task id. */
  readonly task: string;
  /** The id shown to the client. */
  readonly request: string;
  readonly endpoint: string;
  /** Model key. For a rejected request the name as the client wrote it, empty when it was not read. */
  readonly model: string;
  /** Wall clock, ms since 1970, when the gateway accepted the request. */
  readonly at: number;
  /** `ok` or a fault code. */
  readonly code: string;
  /** HTTP status. */
  readonly status: number;
  /** From acceptance to the end. */
  readonly totalMs: number;
  readonly stream?: boolean | undefined;
  /** Worker of the last attempt that sent frames. */
  readonly worker?: string | undefined;
  /** The backend of the last attempt. */
  readonly backend?: string | undefined;
  /** Known attempts. */
  readonly attempts?: number | undefined;
  /** The cause of a fault. Absent for an answer. */
  readonly cause?: string | undefined;
  /** The failures of earlier attempts, the oldest first. Absent: none. */
  readonly tries?: readonly AttemptNote[] | undefined;
  /** From acceptance to Redis's confirmation. */
  readonly queuedMs?: number | undefined;
  /** From acceptance to the claim of the attempt that answered. */
  readonly claimedMs?: number | undefined;
  /** From that claim to the backend's first byte. */
  readonly backendMs?: number | undefined;
  /** From acceptance to the first byte for the client. */
  readonly firstByteMs?: number | undefined;
  /** The phase in which the client was gone. */
  readonly leftIn?: string | undefined;
  readonly promptTokens?: number | undefined;
  readonly completionTokens?: number | undefined;
  /** Bytes of the answer. */
  readonly bytes?: number | undefined;
}

/**
 * Reads a summary that any version wrote. Undefined when a required member is missing. Names that cannot be names of a
 * key are left out; other members may be of a newer version.
 */
export function readSummary(given: unknown): TaskSummary | undefined {
  if (!isSummary(given)) return undefined;
  const { keyName, tenant, ...summary } = given as TaskSummary;
  return { ...summary, ...readKeyNames(keyName, tenant) };
}

/** True when all required members are present. Other members may be of a newer version. */
export function isSummary(given: unknown): boolean {
  const value = given as Json | undefined;
  if (!isObject(value)) return false;
  const texts = [value["task"], value["request"], value["endpoint"], value["model"], value["code"]];
  const numbers = [value["at"], value["status"], value["totalMs"]];
  return (
    texts.every((text) => typeof text === "string") && numbers.every((number) => typeof number === "number")
  );
}
