/** Events of a run that the checker judges. All times are monotonic ms of this process. */

export type Dialect = "ollama-chat" | "ollama-generate" | "openai-chat" | "anthropic-messages";

export const DIALECTS: readonly Dialect[] = [
  "ollama-chat",
  "ollama-generate",
  "openai-chat",
  "anthropic-messages",
];

/** An API key of clients. */
export interface ClientKey {
  readonly id: string;
  readonly tenant: string;
  readonly secret: string;
}

/** The request of a client. */
export interface Wish {
  readonly id: string;
  readonly dialect: Dialect;
  readonly stream: boolean;
  readonly tokens: number;
  readonly firstTokenMs: number;
  readonly tokenMs: number;
  /** Bytes added to each token. */
  readonly padding: number;
  /** Bytes added to the request. */
  readonly ballast: number;
  /** The client hangs up after so many tokens, and at the latest after so many ms; absent: it stays. */
  readonly leave?: { readonly tokens: number; readonly ms: number };
  /** Pause of the reader after each piece, ms; 0: none. */
  readonly readPauseMs: number;
}

/**
 * The end of a request as its client sees it. `complete`: the dialect's proper end. `error`: an explicit one, as status
 * or within the stream. `broken`: the connection broke
 * after it was made. `unreachable`: no connection. `silent`: the stream ended as if all were well, without its end.
 * `left`: the client hung up.
 */
export type Ending = "complete" | "error" | "broken" | "unreachable" | "silent" | "left";

export interface Asked {
  readonly wish: Wish;
  /** The key that it was asked with; absent where none is needed. */
  readonly key?: ClientKey;
  /** Which gateway was asked. */
  readonly seat: number;
  readonly sentAt: number;
  /** By a connection that had served a request before. */
  reused: boolean;
  /** 0 before a head has come. */
  status: number;
  firstTokenAt: number | undefined;
  /** Tokens that came in their order. */
  tokens: number;
  /** The bytes that came instead of the expected token; undefined when there are none. */
  deviation: string | undefined;
  ending: Ending | undefined;
  endedAt: number;
  /** Text of the error that the client got. */
  detail: string;
  /** From the gateway's log. */
  code: string | undefined;
}

/** A run of a request by a backend. */
export interface BackendRun {
  readonly id: string;
  readonly startedAt: number;
  /** Infinity while it goes on. */
  readonly endedAt: number;
  readonly outcome: string;
  readonly tokens: number;
}

/** Something that was broken on purpose. */
export interface Disturbance {
  readonly fault: string;
  /** Index of the party concerned among its kind. */
  readonly target: number;
  readonly from: number;
  /** When it was mended. */
  readonly to: number;
}

export interface History {
  readonly asked: readonly Asked[];
  readonly runs: readonly BackendRun[];
  readonly disturbances: readonly Disturbance[];
  /** When the last disturbance was mended and no new request was made. */
  readonly calmAt: number;
  /** Leftovers of tasks at the end, a sentence each. */
  readonly leaks: readonly string[];
  /** Resident memory of each process, bytes. */
  readonly memory: readonly { readonly name: string; readonly bytes: number }[];
}

/** The n-th token of a request. It occurs at no other place and in no other answer. */
export function wordOf({ id, padding }: Pick<Wish, "id" | "padding">, index: number): string {
  return `${id}/${index}${".".repeat(padding)} `;
}
