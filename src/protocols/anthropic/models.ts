import { isoTime } from "../../core/iso-time.ts";
import { Fault } from "../../core/fault.ts";
import type { ModelCard } from "../../core/model.ts";

/** The bodies of `GET /v1/models` for Anthropic's clients: pages, the newest model first. */

/** The requested page of the list. */
interface ModelPage {
  /** Most models of the page. */
  readonly limit: number;
  /** The id before the page; undefined: from the beginning. */
  readonly afterId: string | undefined;
  /** The id behind the page; undefined: to the end. */
  readonly beforeId: string | undefined;
  /** False when only lifecycle stages are wanted that no model of a fleet has. */
  readonly active: boolean;
}

const DEFAULT_LIMIT = 20;
const MOST = 1000;

/**
 * Reads the page from the query of a request, with Anthropic's parameter names. Throws `invalid_request` for a bad
 * limit.
 */
export function readModelPage(query: string): ModelPage {
  const asked = new URLSearchParams(query);
  const stages = [...asked.getAll("lifecycle"), ...asked.getAll("lifecycle[]")];
  return {
    limit: readLimit(asked.get("limit")),
    afterId: asked.get("after_id") ?? undefined,
    beforeId: asked.get("before_id") ?? undefined,
    active: stages.length === 0 || stages.includes("active"),
  };
}

function readLimit(text: string | null): number {
  if (text === null) return DEFAULT_LIMIT;
  const limit = /^\d{1,4}$/.test(text) ? Number(text) : 0;
  if (limit >= 1 && limit <= MOST) return limit;
  throw new Fault("invalid_request", `limit: must be a whole number from 1 to ${MOST}`);
}

/** Writes one page. An unknown id ends the list, so that no model is listed twice. */
export function modelPage(models: readonly ModelCard[], page: ModelPage): string {
  const { rows, more } = rowsOf(page.active ? models : [], page);
  return JSON.stringify({
    data: rows.map((card) => infoOf(card, card.name)),
    has_more: more,
    first_id: rows[0]?.name ?? null,
    last_id: rows.at(-1)?.name ?? null,
  });
}

function rowsOf(
  models: readonly ModelCard[],
  { limit, afterId, beforeId }: ModelPage,
): { readonly rows: readonly ModelCard[]; readonly more: boolean } {
  const indexOf = (id: string): number => models.findIndex(({ name }) => name === id);
  const from = afterId === undefined ? 0 : indexOf(afterId) + 1;
  const to = beforeId === undefined ? models.length : indexOf(beforeId);
  if ((afterId !== undefined && from === 0) || to < from) return { rows: [], more: false };
  // A page that is requested by its end holds the models just before it.
  const backwards = beforeId !== undefined && afterId === undefined;
  const rows = backwards
    ? models.slice(Math.max(from, to - limit), to)
    : models.slice(from, Math.min(to, from + limit));
  return { rows, more: rows.length < to - from };
}

/** Body of `GET /v1/models/{id}`, with the requested id. */
export function modelInfo(card: ModelCard, asked: string): string {
  return JSON.stringify(infoOf(card, asked));
}

function infoOf(card: ModelCard, id: string): object {
  const tokens = card.contextLength > 0 ? card.contextLength : null;
  return {
    type: "model",
    id,
    display_name: card.name,
    created_at: isoTime(card.modifiedAt),
    lifecycle: "active",
    deprecated_at: null,
    retires_at: null,
    line: null,
    capabilities: null,
    max_input_tokens: tokens,
    max_tokens: tokens,
  };
}
