import { Fault, toFault } from "../../core/fault.ts";
import { dialectOf } from "../../core/task.ts";
import type { Endpoint, Task } from "../../core/task.ts";
import { limitsFrom } from "../../core/timeout-policy.ts";
import type { TimeoutPolicy } from "../../core/timeout-policy.ts";
import { validTraceparent } from "../../core/trace.ts";
import { requestedPath } from "../../protocols/openai/surface.ts";
import { chargedTokens } from "../../core/access/metering.ts";
import type { TokenAmounts } from "../../core/access/metering.ts";
import { keyNamesOf } from "../../core/access/key-names.ts";
import { ANONYMOUS } from "../../core/access/principal.ts";
import type { Principal } from "../../core/access/principal.ts";
import type { Charge, LimitCheck } from "../access/limit-check.ts";
import { limitHeaders } from "../access/limit-headers.ts";
import type { ClientDigests } from "../http/keyring.ts";
import { retryHeaders, sendFault } from "../http/fault-reply.ts";
import type { HttpReply, HttpRequest } from "../http/http.ts";
import type { Keyring } from "../http/keyring.ts";
import { cleanRequestId, pageHeaders } from "../http/reply-headers.ts";
import type { Admission } from "./admission.ts";
import type { Availability } from "./availability.ts";
import { fleetFor } from "./allowed-fleet.ts";
import { destinationOf } from "./destination.ts";
import type { Destination, KnownFleet } from "./destination.ts";
import type { Dispatcher } from "./dispatcher.ts";
import { LARGE_BODY_BYTES } from "./large-bodies.ts";
import type { LargeBodies } from "./large-bodies.ts";
import { openSmallBody } from "./body.ts";
import type { BodyKind, OpenedBody } from "./body.ts";
import type { OutageBuffer } from "./availability.ts";
import type { OpenCharges } from "./open-charges.ts";
import { countsTokens } from "./token-estimates.ts";
import type { SizedRequest, TokenEstimates } from "./token-estimates.ts";
import type { TaskObserver } from "./task-observer.ts";

/** Characters kept of an unknown model name. */
const MOST_NAMED = 200;

/** The rules by which a request becomes a task. */
export interface IntakeRules {
  /** The models of the fleet. */
  readonly catalogue: KnownFleet;
  /** The fault to send instead of one on a model that no worker serves; the same when absent. */
  readonly unknownModel?: ((fault: Fault) => Fault) | undefined;
  readonly timeouts: Pick<TimeoutPolicy, "of">;
  readonly keyring: Pick<Keyring, "identify">;
  /** Limits of keys and tenants. */
  readonly limits: LimitCheck;
  readonly estimates: Pick<TokenEstimates, "of" | "learning">;
  readonly clients: Pick<ClientDigests, "of">;
}

export interface IntakeOptions {
  // 9 fields: the parts that a request passes, one for each step
  readonly availability: Pick<Availability, "unready">;
  readonly outageBuffer: Pick<OutageBuffer, "open" | "wait">;
  readonly largeBodies: Pick<LargeBodies, "open">;
  readonly admission: Pick<Admission, "admit">;
  readonly dispatcher: Pick<Dispatcher, "newTaskId" | "accept">;
  /** Keeps what a task was charged until its end. */
  readonly charges: Pick<OpenCharges, "keep">;
  readonly observers: readonly TaskObserver[];
  readonly rules: IntakeRules;
  /** Ms since 1970. */
  readonly now: () => number;
}

/** A request that is about to become a task. */
interface Arrival {
  readonly endpoint: Endpoint;
  readonly id: string;
  readonly requestId: string;
  readonly trace: string;
  readonly request: HttpRequest;
  readonly reply: HttpReply;
  readonly principal: Principal;
}

/**
 * Turns a request into a task, or answers it with a fault in its dialect. Everything is checked here, once. A thread
 * checks bodies that are large or hold very many members.
 */
export class Intake {
  readonly #options: IntakeOptions;
  #charging = 0;

  constructor(options: IntakeOptions) {
    this.#options = options;
  }

  /** Number of requests that wait for an answer about their limits. */
  get charging(): number {
    return this.#charging;
  }

  /** Takes a request. In the first moment of an outage it waits, and is forgotten when its client is gone meanwhile. */
  readonly take = (endpoint: Endpoint, request: HttpRequest, reply: HttpReply): void => {
    const { outageBuffer, availability, dispatcher } = this.#options;
    if (outageBuffer.open) {
      outageBuffer.wait(() => {
        if (!reply.isGone) this.take(endpoint, request, reply);
      });
      return;
    }
    const { headers, body } = request;
    const id = dispatcher.newTaskId();
    const requestId = cleanRequestId(headers.requestId) ?? id;
    const trace = validTraceparent(headers.traceparent);
    const principal = this.#options.rules.keyring.identify(headers);
    const arrival = { endpoint, id, requestId, trace, request, reply, principal: principal ?? ANONYMOUS };
    let opened: OpenedBody | undefined;
    try {
      const unready = availability.unready();
      if (unready !== undefined) throw unready;
      // The guard let it in before its body came: the first key may have been made meanwhile.
      if (principal === undefined) throw new Fault("unauthorized", "missing or wrong API key");
      const kind = {
        endpoint,
        contentType: headers.contentType,
        measures: principal.key !== undefined && countsTokens(principal),
      };
      opened = body.length > LARGE_BODY_BYTES ? undefined : openSmallBody(kind, body);
      if (opened === undefined) void this.#takeLarge(arrival, kind, body);
    } catch (error) {
      this.#reject(arrival, toFault(error));
    }
    if (opened !== undefined) this.#accept(arrival, opened);
  };

  async #takeLarge(arrival: Arrival, kind: BodyKind, body: Buffer): Promise<void> {
    const { reply } = arrival;
    let opened: OpenedBody;
    try {
      opened = await this.#options.largeBodies.open(kind, body, () => !reply.isGone);
      if (reply.isGone) throw new Fault("cancelled", "the client has gone");
    } catch (error) {
      this.#reject(arrival, toFault(error));
      return;
    }
    this.#accept(arrival, opened);
  }

  /** Checks in the order of their cost to others: key, model, limits of the key, bounds of this gateway. */
  #accept(arrival: Arrival, opened: OpenedBody): void {
    const { rules } = this.#options;
    const { endpoint, principal } = arrival;
    try {
      const fleet = principal.key === undefined ? rules.catalogue : fleetFor(principal, rules.catalogue);
      const destination = destinationOf(fleet, endpoint, opened.model, rules.unknownModel);
      const charge = this.#charge(arrival, opened, destination);
      if (charge instanceof Promise) void this.#acceptLater(arrival, opened, { destination, charge });
      else this.#admit(arrival, opened, { destination, charge });
    } catch (error) {
      this.#reject(arrival, toFault(error), opened.model);
    }
  }

  /** Undefined without limits. Throws or rejects with a fault, and has then charged nothing. */
  #charge(
    { endpoint, principal }: Arrival,
    opened: OpenedBody,
    { model }: Destination,
  ): Charge | Promise<Charge> | undefined {
    if (principal.key === undefined) return undefined;
    const tokens = this.#tokensOf(endpoint, { principal, model, size: opened.size });
    return this.#options.rules.limits.charge({ principal, model, ...tokens });
  }

  /** Waits for Redis, which was asked for more of a limit. Meanwhile much may have changed. */
  async #acceptLater(
    arrival: Arrival,
    opened: OpenedBody,
    { destination, charge: pending }: { readonly destination: Destination; readonly charge: Promise<Charge> },
  ): Promise<void> {
    const { availability, outageBuffer } = this.#options;
    let charge: Charge | undefined;
    let refusal: Fault | undefined;
    this.#charging += 1;
    try {
      charge = await pending;
      if (outageBuffer.open) await new Promise<void>((resolve) => outageBuffer.wait(resolve));
      refusal = arrival.reply.isGone ? new Fault("cancelled", "the client has gone") : availability.unready();
    } catch (error) {
      refusal = toFault(error);
    }
    this.#charging -= 1;
    if (refusal === undefined) this.#admit(arrival, opened, { destination, charge });
    else {
      charge?.refund();
      this.#reject(arrival, refusal, opened.model);
    }
  }

  /** Makes a task of a request that is charged already. */
  #admit(
    arrival: Arrival,
    opened: OpenedBody,
    { destination, charge }: { readonly destination: Destination; readonly charge: Charge | undefined },
  ): void {
    const { admission, dispatcher, charges } = this.#options;
    let task: Task;
    try {
      admission.admit(destination.model, opened.bytes.length);
      task = this.#toTask(arrival, opened, destination);
    } catch (error) {
      charge?.refund();
      this.#reject(arrival, toFault(error), opened.model);
      return;
    }
    if (charge !== undefined) {
      const sized = { principal: arrival.principal, model: destination.model, size: opened.size };
      const { inputTokens } = this.#tokensOf(arrival.endpoint, sized);
      charges.keep(task.id, this.#options.rules.estimates.learning(charge, sized), inputTokens);
    }
    this.#tellLimits(arrival);
    const { warnings } = charge ?? {};
    if (warnings !== undefined) {
      arrival.reply.addHeaders(warnings.map((text) => ["x-sgnet-warning", text]));
    }
    dispatcher.accept(task, destination.queue, arrival.reply);
  }

  #tokensOf(endpoint: Endpoint, sized: SizedRequest): TokenAmounts {
    return chargedTokens(endpoint, () => this.#options.rules.estimates.of(sized));
  }

  /** Adds the headers about the limits of a key. */
  #tellLimits({ endpoint, principal, request, reply }: Arrival, fault?: Fault): void {
    if (principal.key === undefined) return;
    const { rules, now } = this.#options;
    const headers = limitHeaders(dialectOf(endpoint), rules.limits.states(principal), now());
    const all = fault === undefined ? headers : [...headers, ...retryHeaders(fault)];
    if (all.length > 0) reply.addHeaders([...headers, ...pageHeaders(all, request.headers.origin)]);
  }

  #toTask(arrival: Arrival, opened: OpenedBody, { model, name }: Destination): Task {
    const { endpoint, id, requestId, trace, request } = arrival;
    const { timeouts, clients } = this.#options.rules;
    const allowed = timeouts.of(model, request.headers.timeouts);
    const isAdmin = opened.keepsAlive && arrival.principal.role === "admin";
    const client = clients.of(request);
    const path = requestedPath(endpoint, request.path);
    const now = this.#options.now();
    return {
      id,
      endpoint,
      model: name,
      stream: opened.stream,
      createdAt: now,
      deadline: now + allowed.total,
      requestId,
      trace,
      body: opened.bytes,
      limits: limitsFrom(allowed, now),
      ...(allowed.own === undefined ? NOTHING : { own: allowed.own }),
      ...(client === undefined ? NOTHING : { client }),
      ...(isAdmin ? { admin: true } : NOTHING),
      ...keyNamesOf(arrival.principal),
      ...(path === undefined ? NOTHING : { path }),
      ...(opened.contentType === undefined ? NOTHING : { contentType: opened.contentType }),
      ...(opened.modelAt === undefined ? NOTHING : { modelAt: opened.modelAt }),
      ...(arrival.principal.key === undefined ? NOTHING : { keyId: arrival.principal.key.id }),
    };
  }

  /** @param named as the client wrote it; empty when the body could not be read */
  #reject(arrival: Arrival, fault: Fault, named = ""): void {
    const { endpoint, id, requestId, trace, reply, principal } = arrival;
    const { observers, now } = this.#options;
    const model = named.slice(0, MOST_NAMED);
    const ids = { task: id, request: requestId, trace, ...keyNamesOf(principal) };
    const rejection = { ...ids, endpoint, model, at: now(), fault };
    for (const observer of observers) observer.rejected?.(rejection);
    this.#tellLimits(arrival, fault);
    sendFault(reply, fault, { endpoint, requestId });
  }
}

const NOTHING = {};
