/**
 * Process: the floor. A bare reverse proxy of the gateway's own HTTP server and client: no parsing, no queue, no
 * checks, so the least that any gateway built on them can cost. Arguments: the backends' ports, a comma list whose members take turns; a folder for the HTTP
 * server's binary. Prints `ready PORT`; ends when its standard input does.
 */
import { Pool } from "undici"; // oxlint-disable-line no-restricted-imports -- the floor is this client, bare
import type { Dispatcher } from "undici"; // oxlint-disable-line no-restricted-imports -- its types
import { loadUws } from "../src/gateway/http/uws.ts";
import { collectBody } from "./native-body.ts";
import type { Response } from "./native-body.ts";

/**
 * Hands what the backend answers to the client as it comes: the head with the first piece, each piece in one write,
 * and a body of known length in one piece.
 */
class Relay implements Dispatcher.DispatchHandler {
  readonly #response: Response;
  #controller: Dispatcher.DispatchController | undefined;
  #head: (() => void) | undefined;
  #sized: Buffer[] | undefined;
  #done = false;

  constructor(response: Response) {
    this.#response = response;
    response.onAborted(() => {
      this.#done = true;
      this.#controller?.abort(new Error("the client has gone"));
    });
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#done) controller.abort(new Error("the client has gone"));
  }

  onResponseStart(_: Dispatcher.DispatchController, status: number, headers: Record<string, unknown>): void {
    if (headers["content-length"] !== undefined) this.#sized = [];
    this.#head = () => {
      this.#head = undefined;
      this.#response.writeStatus(String(status)).writeHeader("Content-Type", String(headers["content-type"]));
    };
  }

  onResponseData(_: Dispatcher.DispatchController, bytes: Buffer): void {
    if (this.#sized === undefined) this.#write(() => this.#response.write(bytes));
    else this.#sized.push(bytes);
  }

  onResponseEnd(): void {
    const body = this.#sized;
    const [only] = body ?? [];
    this.#write(() => this.#response.end(body?.length === 1 ? only : body && Buffer.concat(body)));
    this.#done = true;
  }

  onResponseError(): void {
    if (!this.#done) this.#response.close();
    this.#done = true;
  }

  #write(action: () => void): void {
    if (this.#done) return;
    this.#response.cork(() => {
      this.#head?.();
      action();
    });
  }
}

const [backendPorts = "", cacheDir = ""] = process.argv.slice(2);
const pools = backendPorts
  .split(",")
  .map((port) => new Pool(`http://127.0.0.1:${port}`, { headersTimeout: 0, bodyTimeout: 0 }));
let turn = 0;
const uws = loadUws({ cacheDir });

uws
  .App()
  .any("/*", (response, request) => {
    const [method, path] = [request.getMethod().toUpperCase(), request.getUrl()];
    const relay = new Relay(response);
    collectBody(response, (body) => {
      const headers = { "content-type": "application/json" };
      turn = (turn + 1) % pools.length;
      pools[turn]?.dispatch({ method, path, headers, body }, relay);
    });
  })
  .listen("127.0.0.1", 0, (socket) => {
    if (socket === false) throw new Error("the floor proxy cannot listen");
    process.stdout.write(`ready ${uws.us_socket_local_port(socket)}\n`);
  });
process.stdin.resume().on("end", () => process.exit(0));
