/** How one server carried out an order. */
export interface ServerOutcome {
  /** As errors name it. */
  readonly name: string;
  /** Undefined when it succeeded. */
  readonly error: string | undefined;
}

/** Servers that are named one by one; of more the number is told. */
const MOST_NAMED = 20;

/** Characters of one server's error beside those of others. */
const MOST_TEXT = 1000;

/**
 * The error of an order that several servers were given: what succeeded where, and what failed where, in one text, as
 * Ollama's clients show no more than that. Undefined when all succeeded; of one server alone its own error.
 */
export function errorOfAll(outcomes: readonly ServerOutcome[]): string | undefined {
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

/** The step that tells how one of several servers has ended. */
export function stepOf({ name, error }: ServerOutcome): { readonly status: string } {
  return {
    status: error === undefined ? `${name}: success` : `${name}: failed: ${error.slice(0, MOST_TEXT)}`,
  };
}

function namesOf(servers: readonly ServerOutcome[]): string {
  const names = servers.slice(0, MOST_NAMED).map(({ name }) => name);
  const more = servers.length - names.length;
  return more === 0 ? names.join(", ") : `${names.join(", ")} and ${more} more`;
}
