import { toFault } from "../core/fault.ts";
import { sendPathFault } from "./http/fault-reply.ts";
import type { Handler, Headers } from "./http/http.ts";
import type { Keyring } from "./http/keyring.ts";
import { plainIdHeaders } from "./http/reply-headers.ts";
import { PAGE_FILES } from "./live-page.ts";
import type { Described } from "./openapi/document.ts";

const JSON_TYPE: Headers = [["content-type", "application/json"]];

interface Gateway extends Pick<Described, "version"> {
  readonly keyring: Pick<Keyring, "isOpen">;
}

/**
 * Answers with the OpenAPI document of this gateway. The first request loads the modules that make it: most gateways
 * never get one. Later requests get the same bytes, until keys are needed, or no longer.
 */
export function openApiRoute(gateway: Gateway): Handler {
  const made = new Map<boolean, Promise<Buffer>>();
  return (request, reply) => {
    const needsKey = !gateway.keyring.isOpen;
    const document = made.get(needsKey) ?? describe({ version: gateway.version, needsKey });
    made.set(needsKey, document);
    document.then(
      (body) => reply.send(200, [...JSON_TYPE, ...plainIdHeaders(request)], body),
      (error: unknown) => sendPathFault(request, reply, toFault(error)),
    );
  };
}

async function describe(gateway: Omit<Described, "pageFiles">): Promise<Buffer> {
  // oxlint-disable-next-line no-restricted-imports -- this file is the one that loads the folder
  const { openApi } = await import("./openapi/document.ts");
  return Buffer.from(JSON.stringify(openApi({ ...gateway, pageFiles: PAGE_FILES })));
}
