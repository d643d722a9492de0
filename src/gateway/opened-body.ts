import { MAX_NAME } from "../core/model.ts";
import type { Endpoint } from "../core/task.ts";
import { serverEndpoint } from "../protocols/catalogue.ts";
import { modelNotFound } from "../protocols/ollama/faults.ts";
import { isFormType, openForm, takesForm, wrongBodyType } from "../protocols/openai/form.ts";
import type { Opening } from "../protocols/protocol.ts";
import { readBody, readSmallBody } from "./body.ts";
import type { ReadBody } from "./body.ts";

/** Parts of a body that the gateway needs, and the bytes that travel. */
export interface OpenedBody extends Opening {
  /** A part of the body that was given, without a copy. */
  readonly bytes: Buffer;
  /** It says how long its model is to stay loaded. */
  readonly keepsAlive: boolean;
  /** Of a form, see Task. */
  readonly contentType?: string | undefined;
  readonly modelAt?: number | undefined;
}

/** How a body is to be read. */
export interface BodyKind {
  readonly endpoint: Endpoint;
  /** As its client has told it; empty without one. */
  readonly contentType: string;
}

/** Characters told of a name that is too long for any model. */
const MOST_TOLD = 80;

/**
 * Reads and checks the body of a request for an endpoint. Throws a fault of its dialect. A name that no model can have is
 * refused here: to look for one of 60 MB, and to repeat it to the client, took 0.4 s of the event loop.
 */
export function openBody(kind: BodyKind, body: Buffer): OpenedBody {
  return openedForm(kind, body) ?? openedJson(kind.endpoint, readBody(body));
}

/** As {@link openBody}; undefined for a body that holds too much for the event loop. */
export function openSmallBody(kind: BodyKind, body: Buffer): OpenedBody | undefined {
  const form = openedForm(kind, body);
  if (form !== undefined) return form;
  const read = readSmallBody(body);
  return read === undefined ? undefined : openedJson(kind.endpoint, read);
}

/** `{`: a body that begins so is no form, whatever is said of it. Most bodies are not looked at more closely. */
const BRACE = 0x7b;

/** Undefined for a body that is to be read as JSON. */
function openedForm({ endpoint, contentType }: BodyKind, body: Buffer): OpenedBody | undefined {
  if (takesForm(endpoint)) {
    const form = openForm(body, contentType);
    checkName(endpoint, form.model);
    return { ...form, bytes: body, keepsAlive: false };
  }
  if (body[0] !== BRACE && isFormType(contentType)) throw wrongBodyType("json", contentType);
  return undefined;
}

function openedJson(endpoint: Endpoint, { value, bytes }: ReadBody): OpenedBody {
  const { model, stream } = serverEndpoint(endpoint).open(value);
  checkName(endpoint, model);
  return { model, stream, bytes, keepsAlive: value["keep_alive"] !== undefined };
}

function checkName(endpoint: Endpoint, model: string): void {
  if (model.length > MAX_NAME) throw modelNotFound(`${model.slice(0, MOST_TOLD)}…`, endpoint);
}
