import type { Dialect } from "../../core/task.ts";

/** Bytes of a stream per token: one event with four letters of text (API.md's captures). */
export const EVENT_BYTES: Readonly<Record<Dialect, number>> = { ollama: 110, openai: 190, anthropic: 120 };
