/** A server on a free port of the loopback, closed after the test, and a raw client. */
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, type TestContext } from "node:test";

import type { FrontEndOptions, Limits, Refusals, Routing } from "../../src/gateway/http/front-end.ts";
import type { Handler } from "../../src/gateway/http/http.ts";
import { type ListenAddress, type HttpServer, startHttp } from "../../src/gateway/http/server.ts";
import { loadUws, type UwsModule } from "../../src/gateway/http/uws.ts";

const cacheDir = mkdtempSync(join(tmpdir(), "sgnet-http-"));
after(() => rmSync(cacheDir, { recursive: true, force: true }));

export const uws: UwsModule = loadUws({ cacheDir });

/** Answers with what it saw, as JSON. */
export const echo: Handler = (request, reply) => {
  const { method, path, query, body, remote, headers } = request;
  const seen = { method, path, query, remote, bytes: body.length, headers };
  reply.send(200, [["content-type", "application/json"]], JSON.stringify(seen));
};

/** Options of a server, all in one bag. */
export interface ServeOptions
  extends
    Partial<ListenAddress>,
    Partial<Limits>,
    Partial<Routing>,
    Partial<Refusals>,
    Partial<FrontEndOptions> {}

export async function serve(t: TestContext, options: ServeOptions = {}): Promise<HttpServer> {
  const server = await startHttp({
    uws,
    address: { host: "127.0.0.1", port: 0, ...options },
    limits: { maxBodyBytes: 2_000_000, ...options },
    routing: {
      routes: [],
      fallback: (_request, reply) => reply.send(404, [], "no such path"),
      ...options,
    },
    refusals: {
      tooLarge: (_request, reply) => reply.send(413, [], "too large"),
      malformed: (_request, reply) => reply.send(400, [], "malformed"),
      ...options,
    },
    ...(options.guard === undefined ? {} : { guard: options.guard }),
    ...(options.pendingWrites === undefined ? {} : { pendingWrites: options.pendingWrites }),
  });
  t.after(() => server.close());
  return server;
}

/** A raw connection that keeps what it receives. */
export class RawClient {
  readonly socket: net.Socket;
  text = "";
  #news = Promise.withResolvers<void>();

  constructor(t: TestContext, port: number) {
    this.socket = net.connect(port, "127.0.0.1").setEncoding("latin1");
    this.socket.on("data", (text: string) => this.#hear(text));
    this.socket.on("error", () => {}).on("close", () => this.#hear(""));
    t.after(() => this.socket.destroy());
  }

  send(text: string): void {
    this.socket.write(text, "latin1");
  }

  /** Waits for the next bytes, or the close. */
  hears(): Promise<void> {
    return this.#news.promise;
  }

  #hear(text: string): void {
    this.text += text;
    this.#news.resolve();
    this.#news = Promise.withResolvers<void>();
  }

  /** Waits for a text that contains `part`; rejects when the connection closes without it. */
  async receives(part: string | RegExp): Promise<string> {
    const found = (): boolean => (typeof part === "string" ? this.text.includes(part) : part.test(this.text));
    while (!found()) {
      if (this.socket.destroyed) throw new Error(`closed after ${JSON.stringify(this.text)}`);
      await this.hears();
    }
    return this.text;
  }

  async closes(): Promise<string> {
    if (!this.socket.closed) await once(this.socket, "close");
    return this.text;
  }
}

/** Resolves when called; counts how often. */
export function signal(): { readonly fired: Promise<void>; readonly fire: () => void; count: () => number } {
  const { promise, resolve } = Promise.withResolvers<void>();
  let count = 0;
  const fire = (): void => {
    count++;
    resolve();
  };
  return { fired: promise, fire, count: () => count };
}
