/** Listens for HTTP: opens the port, and stops in steps. */
import { createServer } from "node:net";

import { Fault } from "../../core/fault.ts";
import { FrontEnd } from "./front-end.ts";
import type { FrontEndOptions } from "./front-end.ts";
import type { NativeApp, NativeListener, UwsModule } from "./uws.ts";

export interface HttpOptions extends FrontEndOptions {
  readonly address: ListenAddress;
}

export interface ListenAddress {
  /** Address or name to listen on. */
  readonly host: string;
  /** 0 picks a free one. */
  readonly port: number;
  /** True lets several processes listen on one port; each gets a share of the connections. */
  readonly share?: boolean;
}

export interface HttpServer {
  /** The port it listens on. */
  readonly port: number;
  /** Closes each connection after its next reply: a proxy that keeps connections open moves them elsewhere. */
  leave(): void;
  /** Takes no more connections; open requests go on, and each connection closes after its reply. */
  stopListening(): void;
  /** Resolves when answers in one piece have left whole, or after `limitMs`. */
  flushed(limitMs: number): Promise<void>;
  /** Stops listening and cuts every connection; open replies see their client gone. */
  close(): void;
}

/** uWebSockets.js's LIBUS_LISTEN_EXCLUSIVE_PORT. */
const EXCLUSIVE_PORT = 1;

/**
 * Starts listening.
 * @throws Fault `internal` when it cannot listen; its cause has the system's error code (EADDRINUSE, EACCES,
 * EADDRNOTAVAIL, ENOTFOUND)
 */
export async function startHttp(options: HttpOptions): Promise<HttpServer> {
  const { uws, address } = options;
  const app = uws.App();
  const frontEnd = new FrontEnd(options);
  frontEnd.register(app);
  const socket = await listen(app, address);
  if (socket === false) throw await listenFault(address);
  return serverOf({ uws, app, socket }, frontEnd);
}

/** The declaration lacks the form with both a host and options, which the native code has. */
type Listen = (
  host: string,
  port: number,
  options: number,
  callback: (socket: NativeListener | false) => void,
) => void;

function listen(
  app: NativeApp,
  { host, port, share = false }: ListenAddress,
): Promise<NativeListener | false> {
  const nativeListen = app.listen.bind(app) as unknown as Listen;
  return new Promise((resolve) => {
    nativeListen(host, port, share ? 0 : EXCLUSIVE_PORT, resolve);
  });
}

function serverOf(
  { uws, app, socket }: { uws: UwsModule; app: NativeApp; socket: NativeListener },
  frontEnd: FrontEnd,
): HttpServer {
  let isListening = true;
  const stopListening = (): void => {
    frontEnd.leave();
    if (isListening) uws.us_listen_socket_close(socket);
    isListening = false;
  };
  return {
    port: uws.us_socket_local_port(socket),
    leave: () => frontEnd.leave(),
    stopListening,
    flushed: async (limitMs) => frontEnd.pendingWrites.none(limitMs),
    close: () => {
      stopListening();
      app.close();
    },
  };
}

/** The native code gives no reason. Node's own listener, tried once on the same address, does. */
async function listenFault({ host, port }: ListenAddress): Promise<Fault> {
  const cause = await new Promise<unknown>((resolve) => {
    const probe = createServer().once("error", resolve);
    probe.listen({ host, port, exclusive: true }, () => probe.close(() => resolve(undefined)));
  });
  const why = cause instanceof Error ? cause.message : "the reason is gone by now: try again";
  const advice = isTaken(cause) ? "; stop the program that uses this port or choose another" : "";
  return new Fault("internal", `Cannot listen on ${host} port ${port}: ${why}${advice}.`, { cause });
}

function isTaken(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "EADDRINUSE";
}
