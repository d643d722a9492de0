import { MAX_NAME } from "../core/model.ts";
import type { Endpoint } from "../core/task.ts";
import { serverEndpoint } from "../protocols/catalogue.ts";
import { modelNotFound } from "../protocols/ollama/faults.ts";
import type { Opening } from "../protocols/protocol.ts";
import { readBody, readSmallBody } from "./body.ts";
import type { ReadBody } from "./body.ts";

/** Parts of a body that the gateway needs, and the bytes that travel. */
export interface OpenedBody extends Opening {
  /** A part of the body that was given, without a copy. */
  readonly bytes: Buffer;
  /** It says how long its model is to stay loaded. */
  readonly keepsAlive: boolean;
}

/** Characters told of a name that is too long for any model. */
const MOST_TOLD = 80;

/**
 * Reads and checks the body of a request for an endpoint. Throws a fault of its dialect. A name that no model can have is
 * refused here: to look for one of 60 MB, and to repeat it to the client, took 0.4 s of the event loop.
 */
export function openBody(endpoint: Endpoint, body: Buffer): OpenedBody {
  return opened(endpoint, readBody(body));
}

/** As {@link openBody}; undefined for a body that holds too much for the event loop. */
export function openSmallBody(endpoint: Endpoint, body: Buffer): OpenedBody | undefined {
  const read = readSmallBody(body);
  return read === undefined ? undefined : opened(endpoint, read);
}

function opened(endpoint: Endpoint, { value, bytes }: ReadBody): OpenedBody {
  const { model, stream } = serverEndpoint(endpoint).open(value);
  if (model.length > MAX_NAME) throw modelNotFound(`${model.slice(0, MOST_TOLD)}…`, endpoint);
  return { model, stream, bytes, keepsAlive: value["keep_alive"] !== undefined };
}
