import type { Settings } from "../config/settings.ts";
import type { Percentiles } from "../telemetry/duration-histogram.ts";
import { escapedLine } from "../core/escaped-text.ts";
import { runLoad } from "./bench-load.ts";
import type { BenchFigures, BenchLoad } from "./bench-load.ts";
import { BenchTarget } from "./bench-target.ts";
import type { BenchDialect } from "./bench-target.ts";
import { duration } from "./duration.ts";
import { localUrl } from "./listening.ts";
import { print, printError, printJson } from "./print.ts";
import { INTERRUPTED, listenForStop } from "./stop-request.ts";
import { renderTable } from "./table.ts";

/** Arguments of `sgnet bench`; absent: the default. */
export interface BenchArguments {
  // 9 fields: one per flag of the command
  readonly url: string | undefined;
  readonly model: string | undefined;
  readonly dialect: string | undefined;
  readonly clients: string | undefined;
  readonly requests: string | undefined;
  readonly prompt: string | undefined;
  readonly tokens: string | undefined;
  readonly whole: boolean;
  readonly json: boolean;
}

/** Most characters of a server's failure message. */
const LONGEST_REASON = 160;

const PROMPT = "Tell a story about a lighthouse keeper who finds a message in a bottle.";

/**
 * Measures a running fleet, or any server of the API: sends requests, reads each answer to its end, prints what clients
 * see. One unmeasured request goes first, since it may load the model. A stop signal closes the connections and prints
 * the figures so far.
 *
 * Resolves with the exit code: 1 when a request failed, 130 when it was stopped.
 */
export async function runBench(settings: Settings, args: BenchArguments): Promise<number> {
  const { clients = "4", requests = "40", tokens = "128", prompt = PROMPT } = args;
  const url = checkedUrl(args.url ?? localUrl(settings.host, settings.port));
  const load = {
    stream: !args.whole,
    clients: positive("clients", clients),
    requests: positive("requests", requests),
    prompt,
    maxTokens: positive("tokens", tokens),
  };
  const dialect = checkedDialect(args.dialect ?? "ollama");
  const [key = ""] = settings.apiKeys.split(",");
  const target = new BenchTarget({ url, dialect, key: key.trim(), connections: load.clients });
  const signals = listenForStop();
  const stop = new AbortController();
  stop.signal.addEventListener("abort", () => target.close());
  void signals.requested.then(() => stop.abort());
  try {
    const planned = { ...load, model: args.model ?? (await target.firstModel()) };
    printError(announcement(url, planned));
    await runLoad(target, { ...planned, requests: 1 }, stop.signal);
    const figures = await runLoad(target, planned, stop.signal);
    const report = { url, dialect, ...planned, ...figures };
    if (args.json) printJson(report);
    else print(renderBench(planned, figures));
    if (figures.stopped) return INTERRUPTED;
    return Object.keys(figures.errors).length === 0 ? 0 : 1;
  } catch (error) {
    if (stop.signal.aborted) return INTERRUPTED;
    throw error;
  } finally {
    signals.release();
    target.close();
  }
}

/** The line on standard error that announces the measurement. */
function announcement(url: string, { model, stream, clients, requests, maxTokens }: BenchLoad): string {
  const what = stream ? "streams" : "whole answers";
  return `Requesting ${requests} ${what} of ${escapedLine(model)} from ${url}, ${clients} at a time, of up to ${maxTokens} tokens each. Ctrl-C stops early.\n`;
}

/** The figures as a table. */
export function renderBench(load: BenchLoad, figures: BenchFigures): string {
  const { answered, seconds, completionTokens, promptTokens, errors, reasons } = figures;
  const rate = (count: number | undefined): string =>
    count === undefined ? "not reported by the server" : (count / seconds).toFixed(1);
  const each = (count: number): string => `${(count / Math.max(1, answered)).toFixed(0)} per request`;
  const failures = Object.entries(errors).map(
    ([code, count]) => `${count} ${code}${reasonText(reasons[code])}`,
  );
  const early = figures.stopped ? ", stopped early" : "";
  const rows: [string, string][] = [
    ["answered", `${answered} of ${load.requests} in ${duration(seconds * 1000)}${early}`],
    ["failed", failures.length === 0 ? "none" : failures.join(", ")],
    ["requests per second", rate(answered)],
    ["tokens per second", rate(completionTokens)],
    ...(load.stream ? streamRows(figures) : []),
    ["whole answer", spread(figures.total)],
  ];
  if (promptTokens !== undefined) rows.push(["prompt tokens", each(promptTokens)]);
  if (completionTokens !== undefined) rows.push(["answer tokens", each(completionTokens)]);
  const how = load.stream ? "streams" : "whole answers";
  return renderTable(`${how} of ${load.model}, ${load.clients} clients`, ["figure", "value"], rows);
}

function reasonText(reason = ""): string {
  const text = escapedLine(reason);
  const short = text.length > LONGEST_REASON ? `${text.slice(0, LONGEST_REASON)}…` : text;
  return short === "" ? "" : ` (${short})`;
}

function streamRows({ first, gap }: BenchFigures): [string, string][] {
  return [
    ["time to the first token", spread(first)],
    ["time between tokens", spread(gap)],
  ];
}

function spread({ count, p50, p99, max }: Percentiles): string {
  if (count === 0) return "–";
  const [half, most, longest] = [p50, p99, max].map((us) => duration(us / 1000));
  return `half within ${half}, 99 % within ${most}, the longest ${longest}`;
}

/** Checks the URL of a server, which may end with the path of its API. */
function checkedUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    throw new Error(`${text} is not the URL of a server: write ${likelyUrl(text)}.`);
  }
  // The message does not repeat the URL, which may hold a password.
  if (url.username !== "" || url.password !== "") {
    throw new Error("The URL must not name a user: write http://host:port, and the key as SGNET_API_KEY.");
  }
  if (!/^(?:\/v1|\/api)?\/?$/.test(url.pathname) || url.search !== "" || url.hash !== "") {
    throw new Error(`${text} has a path or a query that is not supported: write ${url.origin}.`);
  }
  return url.origin;
}

/** A suggestion for a URL without its scheme. */
function likelyUrl(text: string): string {
  const guess = `http://${text}`;
  return text.includes("//") || !URL.canParse(guess) ? "http://host:port" : new URL(guess).origin;
}

function checkedDialect(text: string): BenchDialect {
  if (text !== "ollama" && text !== "openai") throw new Error(`--dialect is ollama or openai, not ${text}.`);
  return text;
}

function positive(flag: string, text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1)
    throw new Error(`--${flag} takes a whole number above 0, not ${text}.`);
  return value;
}
