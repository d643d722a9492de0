import { SettingsError } from "../config/load.ts";
import { Fault } from "../core/fault.ts";
import { refusalCode } from "../redis/connection/refusal.ts";
import { explain } from "./explain.ts";

/** The JSON document of a failed command. */
export interface JsonError {
  readonly error: {
    /** A fault code, `settings`, or `failed` for other errors. */
    readonly code: string;
    /** The error word of Redis or TLS, e.g. `NOPERM`; absent for other errors. */
    readonly reason?: string;
    readonly message: string;
  };
}

/** Describes a failed command for programs: the same message as for people, with a stable code. */
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
