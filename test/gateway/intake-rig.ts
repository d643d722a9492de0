import assert from "node:assert/strict";
import type { Principal } from "../../src/core/access/principal.ts";
import type { Task } from "../../src/core/task.ts";
import type { LimitCheck } from "../../src/gateway/access/limit-check.ts";
import type { RequestHeaders } from "../../src/gateway/http/http.ts";
import { ClientDigests } from "../../src/gateway/http/keyring.ts";
import type { Keyring } from "../../src/gateway/http/keyring.ts";
import { Intake } from "../../src/gateway/requests/intake.ts";
import type { IntakeOptions } from "../../src/gateway/requests/intake.ts";
import { TokenEstimates } from "../../src/gateway/requests/token-estimates.ts";
import type { Rejection } from "../../src/gateway/requests/task-observer.ts";

/** The headers of a request that sends none. */
export const NO_HEADERS: RequestHeaders = {
  host: "",
  origin: "",
  requestId: "",
  authorization: "",
  apiKey: "",
  traceparent: "",
  accept: "",
  userAgent: "",
  contentType: "",
  timeouts: "",
  anthropicVersion: "",
};

export interface IntakeRigOptions {
  readonly timeouts: IntakeOptions["rules"]["timeouts"];
  /** Names of models that the fleet knows; all when absent. */
  readonly models?: readonly string[];
  readonly isAdmin: Keyring["isAdmin"];
  /** No body of most tests is for a thread. */
  readonly openLarge?: IntakeOptions["largeBodies"]["open"];
  readonly onAccepted?: (task: Task) => void;
  readonly onRejected?: (rejection: Rejection) => void;
  /** The rights of every request; by `isAdmin` when absent. */
  readonly principal?: () => Principal | undefined;
  readonly limits?: LimitCheck;
  readonly admit?: IntakeOptions["admission"]["admit"];
  readonly unready?: IntakeOptions["availability"]["unready"];
  readonly outageBuffer?: IntakeOptions["outageBuffer"];
  readonly keep?: IntakeOptions["charges"]["keep"];
}

/** An intake at 1000 ms since 1970, of a gateway that rejects nothing by itself. */
export function intakeOf(options: IntakeRigOptions): Intake {
  const { models, onAccepted = () => {}, onRejected = () => {} } = options;
  const identify: Keyring["identify"] =
    options.principal ?? ((headers) => ({ role: options.isAdmin(headers) ? "admin" : "client" }));
  return new Intake({
    availability: { unready: options.unready ?? (() => undefined) },
    outageBuffer: options.outageBuffer ?? { open: false, wait: () => assert.fail("no outage") },
    largeBodies: { open: options.openLarge ?? (() => assert.fail("too large for this test")) },
    admission: { admit: options.admit ?? (() => {}) },
    dispatcher: { newTaskId: () => "g.1", accept: onAccepted },
    charges: { keep: options.keep ?? (() => {}) },
    observers: [{ rejected: onRejected }],
    rules: {
      catalogue: {
        find: (name) => (models === undefined ? "tiny" : models.find((model) => model === name)),
        cardsOf: () => [],
        remembers: () => true,
        cards: [],
        known: [],
        offered: new Set(),
      },
      timeouts: options.timeouts,
      keyring: { identify },
      limits: options.limits ?? { charge: () => undefined, states: () => [] },
      estimates: new TokenEstimates(),
      clients: new ClientDigests("", "127.0.0.1"),
    },
    now: () => 1000,
  });
}
