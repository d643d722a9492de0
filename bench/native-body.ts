/** Request bodies of the HTTP server, for the ways that are nothing but it and a client. */
import type { UwsModule } from "../src/gateway/http/uws.ts";

type App = ReturnType<UwsModule["App"]>;
type RouteHandler = Parameters<App["any"]>[1];
export type Response = Parameters<RouteHandler>[0];

/** Hands the whole body to `take`; a body in one piece is not copied twice. */
export function collectBody(response: Response, take: (body: Buffer) => void): void {
  let held: Buffer | undefined;
  response.onData((bytes, last) => {
    const piece = Buffer.from(bytes.slice(0)); // the native memory is only lent
    held = held === undefined ? piece : Buffer.concat([held, piece]);
    if (last) take(held);
  });
}
