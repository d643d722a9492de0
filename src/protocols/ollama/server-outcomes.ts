/** The outcome of a request on one server. */
export interface ServerOutcome {
  /** The server's name in errors. */
  readonly name: string;
  /** Undefined when it succeeded. */
  readonly error: string | undefined;
}

/** Servers that are named. The others are counted. */
const MOST_NAMED = 20;

/** Most characters of one server's error beside others. */
const MOST_TEXT = 1000;

/**
 * The error of a request to several servers: successes and failures in one text, because Ollama's clients show no
 * more. Undefined when all succeeded. A single server's error stays as it is.
 */
export function combinedError(outcomes: readonly ServerOutcome[]): string | undefined {
  const failed = outcomes.filter(({ error }) => error !== undefined);
  const [first] = failed;
  if (first === undefined) return undefined;
  if (outcomes.length === 1) return first.error;
  const texts = Map.groupBy(failed, ({ error = "" }) => error.slice(0, MOST_TEXT));
  const failures = [...texts].map(([text, servers]) => `${namesOf(servers)}: ${text}`);
  const done = outcomes.filter(({ error }) => error === undefined);
  if (done.length === 0) return failures.join("; ");
  return `done on ${done.length} of ${outcomes.length} servers (${namesOf(done)}), failed on ${failures.join("; ")}`;
}

/** The step that reports the end on one of several servers. */
export function outcomeStep({ name, error }: ServerOutcome): { readonly status: string } {
  return {
    status: error === undefined ? `${name}: success` : `${name}: failed: ${error.slice(0, MOST_TEXT)}`,
  };
}

function namesOf(servers: readonly ServerOutcome[]): string {
  const names = servers.slice(0, MOST_NAMED).map(({ name }) => name);
  const more = servers.length - names.length;
  return more === 0 ? names.join(", ") : `${names.join(", ")} and ${more} more`;
}
