/** Sends a workload's requests to a port and keeps what became of each. The same for all ways. */
import http from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { bodyOf } from "./traffic.ts";
import type { PlannedRequest, Source } from "./traffic.ts";

/** Why a request did not get its answer. `open`: it was still waited for at the end. */
export type Outcome = "answered" | "status" | "truncated" | "transport" | "open";

/** One request, in ms since the load began. */
export interface RequestRecord {
  readonly model: string;
  readonly sentMs: number;
  /** First byte of an answer, blank lines apart; undefined when none came. */
  readonly firstMs: number | undefined;
  readonly endMs: number;
  readonly outcome: Outcome;
}

/** After a failure a client waits so long, or it would do nothing but fail. */
const RETRY_MS = 100;
const OPEN_BRACE = 0x7b;

/** One load: begins with {@link run}, and ends after its time, whatever is still open. */
export class Load {
  readonly #port: number;
  readonly #agent = new http.Agent({ keepAlive: true });
  readonly #visits: RequestRecord[] = [];
  readonly #end = new AbortController();
  #startedAt = 0;
  #sent = 0;

  constructor(port: number) {
    this.#port = port;
  }

  /** Every request of the load, in the order of their ends. Ends early when all sources have nothing more. */
  async run(sources: readonly Source[], windowMs: number): Promise<readonly RequestRecord[]> {
    this.#startedAt = performance.now();
    const over = setTimeout(() => this.#end.abort(), windowMs);
    await Promise.all(sources.map(async (source) => await this.#serve(source)));
    clearTimeout(over);
    this.#agent.destroy();
    return this.#visits;
  }

  async #serve(source: Source): Promise<void> {
    if (source.kind === "timed") {
      await Promise.all(source.arrivals.map(async ({ atMs, ask }) => await this.#askAt(atMs, ask)));
      return;
    }
    for (let index = 0; !this.#end.signal.aborted; index += 1) {
      const ask = source.next(index);
      if (ask === undefined) return;
      const outcome = await this.#ask(ask, this.#now());
      if (outcome !== "answered") await this.#pause(RETRY_MS);
    }
  }

  async #askAt(atMs: number, ask: PlannedRequest): Promise<void> {
    await this.#pause(atMs - this.#now());
    if (!this.#end.signal.aborted) await this.#ask(ask, atMs);
  }

  async #pause(ms: number): Promise<void> {
    await sleep(Math.max(0, ms), undefined, { signal: this.#end.signal }).catch(() => undefined);
  }

  #now(): number {
    return performance.now() - this.#startedAt;
  }

  /** @param sentMs when it was to be sent: a late start counts as a wait */
  async #ask(ask: PlannedRequest, sentMs: number): Promise<Outcome> {
    this.#sent += 1;
    const body = bodyOf(ask, String(this.#sent));
    return await new Promise((resolve) => {
      let firstMs: number | undefined;
      let isOver = false;
      const over = (outcome: Outcome): void => {
        if (isOver) return;
        isOver = true;
        const result = outcome !== "answered" && this.#end.signal.aborted ? "open" : outcome;
        this.#visits.push({ model: ask.model, sentMs, firstMs, endMs: this.#now(), outcome: result });
        resolve(result);
      };
      const request = http.request({
        port: this.#port,
        host: "127.0.0.1",
        method: "POST",
        path: "/api/chat",
        agent: this.#agent,
        signal: this.#end.signal,
        headers: { "content-type": "application/json", "content-length": Buffer.byteLength(body) },
      });
      request.on("error", () => over("transport"));
      request.on("response", (response) => {
        const reply = new ReplyReader(response.statusCode ?? 0);
        response.on("data", (bytes: Buffer) => {
          if (reply.feed(bytes)) firstMs ??= this.#now();
        });
        response.on("error", () => over("truncated"));
        response.on("end", () => over(reply.outcome(ask.tokens)));
        response.on("close", () => over("truncated"));
      });
      request.end(body);
    });
  }
}

/** Reads a reply as far as it is judged: that its tokens are all there, and its last line. */
class ReplyReader {
  readonly #status: number;
  #text = "";

  constructor(status: number) {
    this.#status = status;
  }

  /** True when there is more than blanks, which only say that the request is waited for. */
  feed(bytes: Buffer): boolean {
    this.#text += bytes.toString("latin1");
    return this.#status === 200 && bytes.includes(OPEN_BRACE);
  }

  outcome(tokens: number): Outcome {
    if (this.#status !== 200) return "status";
    const last = this.#text.trimEnd().split("\n").at(-1) ?? "";
    return last.includes('"done":true') && last.includes(`"eval_count":${tokens}`) ? "answered" : "truncated";
  }
}
