/** The front door of a gateway with keys and limits, over real HTTP. Its limits and its fleet do as a test says. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import type { TestContext } from "node:test";
import type { KeyRecord } from "../../src/core/access/key-record.ts";
import type { Principal } from "../../src/core/access/principal.ts";
import { TimeoutPolicy } from "../../src/core/timeout-policy.ts";
import type { Endpoint, Task } from "../../src/core/task.ts";
import type { ModelCard } from "../../src/core/model.ts";
import { modelNotFound } from "../../src/protocols/ollama/faults.ts";
import type { Usage } from "../../src/core/usage.ts";
import type { Charge, LimitCheck, LimitRequest, LimitState } from "../../src/gateway/access/limit-check.ts";
import { LimitChecks } from "../../src/gateway/access/limit-checks.ts";
import { buildGuard } from "../../src/gateway/http/guard.ts";
import type { HttpReply } from "../../src/gateway/http/http.ts";
import { ClientDigests, Keyring } from "../../src/gateway/http/keyring.ts";
import { OriginPolicy } from "../../src/gateway/http/origin-policy.ts";
import { Auditor } from "../../src/gateway/access/auditor.ts";
import { countedRoutes } from "../../src/gateway/models/counted-routes.ts";
import { managementRoutes } from "../../src/gateway/models/management.ts";
import type { ManagementHost } from "../../src/gateway/models/management.ts";
import type { KnownFleet } from "../../src/gateway/requests/destination.ts";
import { TokenEstimates } from "../../src/gateway/requests/token-estimates.ts";
import { Intake } from "../../src/gateway/requests/intake.ts";
import { LargeBodies } from "../../src/gateway/requests/large-bodies.ts";
import { buildFallback, buildRefusals, buildRoutes } from "../../src/gateway/routes.ts";
import type { RoutesHost } from "../../src/gateway/routes.ts";
import { serve } from "./http-rig.ts";

/** A limit that does as it is told, and writes down what happens to it. */
export class ScriptedLimit implements LimitCheck {
  /** Each request takes the first of these; with none left it is let in. */
  readonly steps: (() => Charge | Promise<Charge> | undefined)[] = [];
  /** `charged`, `settled 3+4`, `settled`, `refunded`, each with the name of this limit when it has one. */
  readonly seen: string[] = [];
  readonly requests: LimitRequest[] = [];
  shown: readonly LimitState[] = [];
  readonly #name: string;

  /** @param name before each line of `seen`; none when absent */
  constructor(name = "", seen?: string[]) {
    this.#name = name === "" ? "" : `${name} `;
    if (seen !== undefined) this.seen = seen;
  }

  charge(request: LimitRequest): Charge | Promise<Charge> | undefined {
    this.requests.push(request);
    const step = this.steps.shift();
    return step === undefined ? this.take() : step();
  }

  states(): readonly LimitState[] {
    return this.shown;
  }

  take(): Charge {
    this.#note("charged");
    const over = (what: string): void => {
      this.#note(what);
    };
    return { settle: (usage) => over(`settled${textOf(usage)}`), refund: () => over("refunded") };
  }

  #note(what: string): void {
    this.seen.push(this.#name + what);
  }
}

function textOf(usage: Usage | undefined): string {
  return usage === undefined ? "" : ` ${usage.promptTokens}+${usage.completionTokens}`;
}

/** A step that refuses. */
export function refuses(error: Error): () => never {
  return () => {
    throw error;
  };
}

const CARD = {
  modifiedAt: 1_700_000_000_000,
  size: 1,
  digest: "0".repeat(64),
  format: "gguf",
  family: "llama",
  parameterSize: "1B",
  quantization: "Q4",
  contextLength: 2048,
  capabilities: ["completion"],
  ownedBy: "us",
  resident: true,
  load: { size: 1, sizeVram: 1, expiresAt: undefined, contextLength: 1 },
};

export function cardOf(name: string, endpoints: readonly string[] = []): ModelCard {
  return { ...CARD, key: name, name, endpoints };
}

export function fleetOf(cards: readonly ModelCard[]): KnownFleet {
  return {
    cards,
    find: (name) => cards.find(({ key }) => key === name.toLowerCase())?.key,
    cardsOf: (key) => cards.filter((card) => card.key === key),
    remembers: () => false,
    known: cards.map(({ key }) => key),
    offered: new Set(cards.map(({ key }) => key)),
  };
}

export function keyOf(name: string, more: Partial<KeyRecord> = {}): KeyRecord {
  const digest = createHash("sha256").update(`sg-${name}`).digest("hex");
  return {
    id: `k${name}`,
    name,
    tenant: name,
    digest,
    hint: name.slice(-4),
    role: "client",
    models: ["*"],
    created: 0,
    ...more,
  };
}

export interface LimitedGatewayOptions {
  readonly keys?: readonly KeyRecord[];
  readonly cards?: readonly ModelCard[];
  readonly limits?: readonly LimitCheck[];
  /** Answers a task; with a small whole answer in its dialect when absent. */
  readonly accept?: (task: Task, reply: HttpReply) => void;
  readonly admit?: () => void;
}

export interface LimitedGateway {
  readonly url: string;
  readonly port: number;
  readonly tasks: readonly Task[];
  /** Charges of tasks that were accepted. */
  readonly kept: readonly Charge[];
}

/** Its keys are `sg-` and the name of the record. */
export async function startLimited(
  t: TestContext,
  options: LimitedGatewayOptions = {},
): Promise<LimitedGateway> {
  const { keys = [keyOf("ann")], cards = [cardOf("tiny")], limits = [], admit = () => {} } = options;
  const fleet = fleetOf(cards);
  const keyring = keyringOf(keys);
  const tasks: Task[] = [];
  const kept: Charge[] = [];
  const checks = new LimitChecks(limits);
  const largeBodies = new LargeBodies({ onDied: () => {} });
  t.after(() => largeBodies.close());
  const intake = new Intake({
    availability: { unready: () => undefined },
    outageBuffer: { open: false, wait: () => assert.fail("no outage") },
    largeBodies,
    admission: { admit },
    dispatcher: {
      newTaskId: () => `g.${tasks.length + 1}`,
      accept: (task, _queue, reply) => {
        tasks.push(task);
        (options.accept ?? answer)(task, reply);
      },
    },
    charges: { keep: (_task, charge) => kept.push(charge) },
    observers: [],
    rules: {
      catalogue: fleet,
      timeouts: new TimeoutPolicy({
        queueTimeoutMs: 0,
        connectTimeoutMs: 0,
        firstTokenTimeoutMs: 0,
        idleTimeoutMs: 0,
        taskTimeoutMs: 60_000,
        modelTimeouts: "",
      }),
      keyring,
      limits: checks,
      estimates: new TokenEstimates(),
      clients: new ClientDigests("", "127.0.0.1"),
    },
    now: Date.now,
  });
  const guard = buildGuard({
    origins: new OriginPolicy({ origins: "", listen: "127.0.0.1", own: [] }),
    keyring,
    isPublic: () => false,
    onRefused: () => {},
  });
  const models = managementRoutes(managementOf(fleet, keyring));
  const routes = buildRoutes({
    catalogue: { models: cards, find: (name: string) => fleet.find(name) } as RoutesHost["catalogue"],
    takeTask: intake.take,
    keyring,
    management: countedRoutes(models, { keyring, limits: checks }),
    ui: { routes: [], page: () => assert.fail("no page") },
    readiness: { unready: () => undefined, outOfService: () => undefined },
  } as unknown as RoutesHost);
  const server = await serve(t, {
    routes,
    ...buildFallback(routes),
    ...buildRefusals(2_000_000, () => {}),
    guard,
  });
  return { url: `http://127.0.0.1:${server.port}`, port: server.port, tasks, kept };
}

function managementOf(fleet: KnownFleet, keyring: Keyring): ManagementHost {
  return {
    catalogue: {
      workers: [],
      cards: fleet.cards,
      refreshAnew: () => Promise.resolve(),
    },
    managementRequests: { send: () => assert.fail("there is no server") },
    show: {
      answer: (model) =>
        fleet.find(model) === undefined
          ? Promise.reject(modelNotFound(model, "ollama-show"))
          : Promise.resolve({ status: 200, contentType: "application/json", body: Buffer.from("{}") }),
      forget: () => {},
    },
    keyring,
    auditor: new Auditor({
      audit: { append: () => Promise.resolve() },
      keyring,
      log: { warn: () => {} },
      mono: () => 0,
    }),
    unready: () => undefined,
  };
}

function keyringOf(keys: readonly KeyRecord[]): Keyring {
  const principals = new Map(keys.map((key): [string, Principal] => [key.digest, { role: key.role, key }]));
  const find = (digest: Buffer): Principal | undefined => {
    const found = principals.get(digest.toString("hex"));
    return found?.key?.disabled === undefined ? found : undefined;
  };
  return new Keyring({ apiKeys: "", adminKeys: "" }, { isEmpty: false, hasClients: true, find });
}

const ANSWERS: { readonly [Name in Endpoint]?: object } = {
  "openai-chat": {
    id: "c",
    object: "chat.completion",
    created: 1,
    model: "tiny",
    choices: [{ index: 0, message: { role: "assistant", content: "hi" }, finish_reason: "stop" }],
  },
  "anthropic-messages": {
    id: "m",
    type: "message",
    role: "assistant",
    model: "tiny",
    content: [{ type: "text", text: "hi" }],
    stop_reason: "end_turn",
    stop_sequence: null,
    usage: { input_tokens: 1, output_tokens: 1 },
  },
  "ollama-chat": {
    model: "tiny",
    created_at: "2026-11-30T00:00:00Z",
    message: { role: "assistant", content: "hi" },
    done: true,
  },
};

function answer({ endpoint }: Task, reply: HttpReply): void {
  const body = JSON.stringify(ANSWERS[endpoint] ?? {});
  reply.send(200, [["content-type", "application/json"]], body);
}
