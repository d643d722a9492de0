import { Fault } from "../../core/fault.ts";
import { topMember } from "../../wire/top-member.ts";
import type { BackendRequest, Passthrough, PassthroughOptions } from "../protocol.ts";
import { namesModel as formNamesModel, withModel as withFormModel } from "./form-model.ts";
import { relayPath } from "./surface.ts";
import type { SurfaceEndpoint } from "./surface.ts";
import { SurfaceRelay } from "./surface-relay.ts";

/** Passes requests of an endpoint of the surface through to a backend. @param has the paths that the backend has */
export function surfaceWay(row: SurfaceEndpoint, has: ReadonlySet<string>): Passthrough {
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
  if (row.form !== true) return { path, body: withModel(body, model) };
  return { path, body: withFormModel(body, options, model), contentType };
}

function namesModel({ form }: SurfaceEndpoint, options: PassthroughOptions): boolean {
  if (form === true) return formNamesModel(options.body, options);
  return topMember(options.body, "model") !== undefined;
}

/** The body byte for byte, but for the name of its model; where it has none, the name is put first. */
export function withModel(body: Buffer, model: string): Buffer {
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
