import { modelKey } from "../model.ts";
import type { KeyLimits } from "./key-limits.ts";

/** Rights of a key: use models; also change the fleet; or see fleet and figures without any prompt. */
export const KEY_ROLES = ["client", "admin", "observer"] as const;
export type KeyRole = (typeof KEY_ROLES)[number];

/** Classes of requests, the most urgent first. */
export const REQUEST_CLASSES = ["interactive", "standard", "batch"] as const;
export type RequestClass = (typeof REQUEST_CLASSES)[number];

/** An API key as Redis keeps it: JSON, without the secret. */
export interface KeyRecord extends KeyLimits {
  /** `k` and ten characters of a-z0-9. */
  readonly id: string;
  /** 1 to 64 characters; one key that works has it. */
  readonly name: string;
  /** The name of its tenant; absent in what is written: the id. */
  readonly tenant: string;
  /** SHA-256 of the secret, hex. */
  readonly digest: string;
  /** The last four characters of the secret. */
  readonly hint: string;
  /** The secret before a rotation works until then, ms since 1970. */
  readonly former?: { readonly digest: string; readonly until: number };
  readonly role: KeyRole;
  /** Patterns of models that may be used; see {@link allowsModel}. */
  readonly models: readonly string[];
  /** Class of requests that ask for none; absent: standard. */
  readonly class?: RequestClass;
  /** Highest class that may be asked for; absent: interactive. */
  readonly ceiling?: RequestClass;
  /** Ms since 1970. */
  readonly expires?: number;
  /** Ms since 1970 when it was revoked; a day later the record goes. */
  readonly disabled?: number;
  /** Ms since 1970. */
  readonly created: number;
}

/** The tenant of a key: keys of one tenant share its limits, its budget and its place in the queue. */
export interface TenantRecord extends KeyLimits {
  /** 1 to 64 characters of a-z0-9_-. */
  readonly name: string;
  /** Share beside other tenants, 1 to 1000; absent: 1. */
  readonly weight?: number;
  /** Most of a model's queue, above 0 to 1; absent: one half. */
  readonly queueShare?: number;
  readonly disabled?: number;
  /** Ms since 1970. */
  readonly created: number;
}

/**
 * True when a key may use a model. A pattern has the name of a model, with `*` for any characters; a name without a tag
 * stands for each of its tags, as in `ollama run`. A model without a tag is its tag `latest` too.
 * @param model the model's key, see {@link modelKey}
 */
export function allowsModel({ models }: Pick<KeyRecord, "models">, model: string): boolean {
  return models.some((pattern) => pattern === "*" || matches(pattern.toLowerCase(), model));
}

function matches(pattern: string, model: string): boolean {
  if (pattern.includes("*"))
    return fits(pattern, model) || fits(pattern, `${untagged(model)}:${tagOf(model)}`);
  const key = modelKey(pattern);
  return key === model || (untagged(pattern) === pattern && key === untagged(model));
}

const LATEST = "latest";

function tagOf(model: string): string {
  return model.slice(untagged(model).length + 1) || LATEST;
}

/** A name without its tag. A colon before the last slash belongs to a host. */
function untagged(model: string): string {
  const colon = model.lastIndexOf(":");
  return colon > model.lastIndexOf("/") ? model.slice(0, colon) : model;
}

/** True when a text has the form of a pattern. */
function fits(pattern: string, text: string): boolean {
  const [first = "", ...rest] = pattern.split("*");
  const last = rest.pop() ?? "";
  if (!text.startsWith(first) || !text.endsWith(last)) return false;
  let at = first.length;
  for (const piece of rest) {
    const found = text.indexOf(piece, at);
    if (found === -1) return false;
    at = found + piece.length;
  }
  return at <= text.length - last.length;
}

/** True while the key works, but for its secret. @param now ms since 1970 */
export function isUsable({ disabled, expires }: KeyRecord, now: number): boolean {
  return disabled === undefined && (expires === undefined || expires > now);
}
