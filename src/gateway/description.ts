import { toFault } from "../core/fault.ts";
import { sendPathFault } from "./fault-reply.ts";
import type { Handler, Headers } from "./http.ts";
import type { Described } from "./openapi/document.ts";
import { plainIdHeaders } from "./request-id.ts";

const JSON_TYPE: Headers = [["content-type", "application/json"]];

/**
 * Answers with the OpenAPI document of this gateway. It is made, and the modules that make it are loaded, when it is
 * asked for the first time: most gateways never are. From then on its bytes are kept.
 */
export function description(gateway: Described): Handler {
  let made: Promise<Buffer> | undefined;
  return (request, reply) => {
    made ??= describe(gateway);
    made.then(
      (body) => reply.send(200, [...JSON_TYPE, ...plainIdHeaders(request)], body),
      (error: unknown) => sendPathFault(request, reply, toFault(error)),
    );
  };
}

async function describe(gateway: Described): Promise<Buffer> {
  const { openApi } = await import("./openapi/document.ts");
  return Buffer.from(JSON.stringify(openApi(gateway)));
}
