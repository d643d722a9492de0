import { Fault } from "../../core/fault.ts";
import { topMember } from "../../wire/json-value.ts";
import type { BackendRequest, Passthrough, PassthroughOptions } from "../codec.ts";
import { formNamesModel, withFormModel } from "./multipart-model.ts";
import { relayPath } from "./surface.ts";
import type { SurfaceEndpoint } from "./surface.ts";
import { SurfaceRelay } from "./surface-relay.ts";

/** The passthrough of a surface endpoint. @param has the paths that the backend offers */
export function surfacePassthrough(row: SurfaceEndpoint, has: ReadonlySet<string>): Passthrough {
  return {
    request: (options) => passRequest(row, has, options),
    relay: (options) =>
      new SurfaceRelay({
        asked: namesModel(row, options) ? options.asked : undefined,
        stream: options.stream,
        events: row.events,
        binary: row.binary ?? false,
        text: row.text,
      }),
  };
}

function passRequest(
  row: SurfaceEndpoint,
  has: ReadonlySet<string>,
  options: PassthroughOptions,
): BackendRequest {
  const { body, model, contentType } = options;
  const path = relayPath(row, has, options.path);
  if (path === undefined) throw new Fault("not_implemented", "the backend does not offer this endpoint");
  if (row.form !== true) return { path, body: withBodyModel(body, model) };
  return { path, body: withFormModel(body, options, model), contentType };
}

function namesModel({ form }: SurfaceEndpoint, options: PassthroughOptions): boolean {
  if (form === true) return formNamesModel(options.body, options);
  return topMember(options.body, "model") !== undefined;
}

/** Returns the body with this model, otherwise unchanged. A body without a model gets it as its first member. */
export function withBodyModel(body: Buffer, model: string): Buffer {
  const name = Buffer.from(JSON.stringify(model));
  const place = topMember(body, "model");
  if (place !== undefined) {
    return Buffer.concat([body.subarray(0, place.from), name, body.subarray(place.to)]);
  }
  const from = body.indexOf("{") + 1;
  const isEmpty = /^\s*\}/.test(body.toString("latin1", from, from + 64));
  const field = Buffer.from(`"model":${name.toString()}${isEmpty ? "" : ","}`);
  return Buffer.concat([body.subarray(0, from), field, body.subarray(from)]);
}
