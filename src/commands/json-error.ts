import { SettingsError } from "../config/load.ts";
import { Fault } from "../core/fault.ts";
import { refusalCode } from "../redis/refusal.ts";
import { explain } from "./explain.ts";

/** The document of a command with --json that fails. */
export interface JsonError {
  readonly error: {
    /** A fault code, `settings`, or `failed` for all that has none. */
    readonly code: string;
    /** The word of Redis or TLS: `NOPERM`. Absent when it was neither. */
    readonly reason?: string;
    readonly message: string;
  };
}

/** A failed command for programs: its message as people are told it, with a stable code. */
export function jsonError(thrown: unknown): JsonError {
  const reason = refusalCode(thrown);
  return {
    error: { code: codeOf(thrown), ...(reason === undefined ? {} : { reason }), message: explain(thrown) },
  };
}

function codeOf(thrown: unknown): string {
  if (thrown instanceof Fault) return thrown.code;
  return thrown instanceof SettingsError ? "settings" : "failed";
}
