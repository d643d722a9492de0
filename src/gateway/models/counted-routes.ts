import type { Charge, LimitCheck } from "../access/limit-check.ts";
import { toFault } from "../../core/fault.ts";
import type { Principal } from "../../core/access/principal.ts";
import { retryHeaders, sendPathFault } from "../http/fault-reply.ts";
import type { Handler, Headers, HttpReply, HttpRequest, Route } from "../http/http.ts";
import type { Keyring } from "../http/keyring.ts";
import { pageHeaders } from "../http/reply-headers.ts";

/** The parts that count requests of keys. */
export interface RequestCounter {
  readonly keyring: Pick<Keyring, "identify">;
  readonly limits: Pick<LimitCheck, "charge">;
}

/**
 * Makes routes count as requests of a key, open ones included. They are no tasks, but keep servers busy. They
 * use no tokens. Routes that only read count nothing. An answer with an error is charged nothing.
 */
export function countedRoutes(routes: readonly Route[], counter: RequestCounter): readonly Route[] {
  return routes.map((route) =>
    route.method === "GET" ? route : { ...route, handler: counted(route.handler, counter) },
  );
}

function counted(handler: Handler, { keyring, limits }: RequestCounter): Handler {
  return (request, reply) => {
    const principal = keyring.identify(request.headers);
    if (principal?.key === undefined) {
      handler(request, reply);
      return;
    }
    try {
      const charge = limits.charge(requestOf(principal));
      if (charge instanceof Promise) void runLater({ request, reply }, handler, charge);
      else run({ request, reply }, handler, charge);
    } catch (error) {
      refuse({ request, reply }, error);
    }
  };
}

interface Call {
  readonly request: HttpRequest;
  readonly reply: HttpReply;
}

function requestOf(principal: Principal): Parameters<LimitCheck["charge"]>[0] {
  return { principal, model: "", inputTokens: 0, outputTokens: 0 };
}

async function runLater(call: Call, handler: Handler, pending: Promise<Charge>): Promise<void> {
  try {
    const charge = await pending;
    if (call.reply.isGone) charge.refund();
    else run(call, handler, charge);
  } catch (error) {
    refuse(call, error);
  }
}

function run({ request, reply }: Call, handler: Handler, charge: Charge | undefined): void {
  handler(request, charge === undefined ? reply : new CountedReply(reply, charge));
}

function refuse({ request, reply }: Call, error: unknown): void {
  const fault = toFault(error);
  sendPathFault(request, reply, fault, pageHeaders(retryHeaders(fault), request.headers.origin));
}

const NO_TOKENS = { promptTokens: 0, completionTokens: 0 };

/** A reply that settles the charge of its request at its end, or when its client is gone. */
class CountedReply implements HttpReply {
  readonly #reply: HttpReply;
  #charge: Charge | undefined;
  #onGone: (() => void) | undefined;

  constructor(reply: HttpReply, charge: Charge) {
    this.#reply = reply;
    this.#charge = charge;
    reply.onGone(() => {
      this.#over(200);
      this.#onGone?.();
    });
  }

  get isGone(): boolean {
    return this.#reply.isGone;
  }

  addHeaders(headers: Headers): void {
    this.#reply.addHeaders(headers);
  }

  send(status: number, headers: Headers, body: Buffer | string): void {
    this.#over(status);
    this.#reply.send(status, headers, body);
  }

  start(status: number, headers: Headers, first: Buffer): boolean {
    const hasRoom = this.#reply.start(status, headers, first);
    if (status >= 400) this.#over(status);
    return hasRoom;
  }

  write(bytes: Buffer): boolean {
    return this.#reply.write(bytes);
  }

  end(last?: Buffer): void {
    this.#over(200);
    this.#reply.end(last);
  }

  destroy(): void {
    this.#over(200);
    this.#reply.destroy();
  }

  onGone(callback: () => void): void {
    this.#onGone = callback;
  }

  onDrain(callback: () => void): void {
    this.#reply.onDrain(callback);
  }

  #over(status: number): void {
    const charge = this.#charge;
    this.#charge = undefined;
    if (status >= 400) charge?.refund();
    else charge?.settle(NO_TOKENS);
  }
}
