import type { Endpoint } from "../core/task.ts";
import { serverEndpoint } from "../protocols/catalogue.ts";
import type { Opening } from "../protocols/protocol.ts";
import { readBody } from "./body.ts";

/** Parts of a body that the gateway needs, and the bytes that travel. */
export interface OpenedBody extends Opening {
  /** A part of the body that was given, without a copy. */
  readonly bytes: Buffer;
  /** It says how long its model is to stay loaded. */
  readonly keepsAlive: boolean;
}

/** Reads and checks the body of a request for an endpoint. Throws a fault of its dialect. */
export function openBody(endpoint: Endpoint, body: Buffer): OpenedBody {
  const { value, bytes } = readBody(body);
  const { model, stream } = serverEndpoint(endpoint).open(value);
  return { model, stream, bytes, keepsAlive: value["keep_alive"] !== undefined };
}
