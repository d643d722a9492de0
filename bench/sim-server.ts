/** The simulated backend: Ollama and OpenAI on raw sockets, light enough not to be what is measured. */
import net from "node:net";
import { PROFILES, durationMs } from "./profiles.ts";
import type { Profile } from "./profiles.ts";
import { buildReply, jsonResponse } from "./replies.ts";
import type { Reply, ReplyShape, SimEndpoint } from "./replies.ts";
import { RequestReader } from "./request-reader.ts";
import type { SimRequest } from "./request-reader.ts";
import { SimLog } from "./sim-log.ts";
import type { SimRules, SimRequestLog } from "./sim-log.ts";
import { TimerWheel } from "./wheel.ts";
import type { Timed } from "./wheel.ts";

const MOST_TOKENS = 100_000;
const ENDPOINTS: ReadonlySet<string> = new Set<SimEndpoint>([
  "/api/chat",
  "/api/generate",
  "/v1/chat/completions",
]);
const BAD_REQUEST = jsonResponse(400, { error: "unexpected request" });
const NOT_FOUND = jsonResponse(404, { error: "not found" });
const HEALTHY = jsonResponse(200, {});

/** Answers that never change: listings, and what routers ask to learn whether a server lives. */
const FIXED: ReadonlyMap<string, Buffer> = new Map([
  ["GET /", HEALTHY],
  ["GET /health", HEALTHY],
  ["GET /api/version", jsonResponse(200, { version: "0.12.6" })],
  ["GET /api/ps", jsonResponse(200, { models: [] })],
  ["GET /api/tags", jsonResponse(200, { models: PROFILES.map(ollamaCard) })],
  ["GET /v1/models", jsonResponse(200, { object: "list", data: PROFILES.map(openaiCard) })],
]);

function ollamaCard(profile: Profile): unknown {
  return {
    name: profile.model,
    model: profile.model,
    modified_at: "2026-01-01T00:00:00Z",
    size: 1_000_000,
    digest: "0".repeat(64),
    details: {
      parent_model: "",
      format: "gguf",
      family: "sim",
      families: ["sim"],
      parameter_size: "1M",
      quantization_level: "F16",
    },
  };
}

function openaiCard(profile: Profile): unknown {
  return { id: profile.model, object: "model", created: 1_767_225_600, owned_by: "library" };
}

/** State of a reply that is being sent. */
interface StreamPlan {
  readonly pieces: readonly Buffer[];
  readonly gapMs: number;
  readonly onEnd: (() => void) | undefined;
}

/** A reply on its way, one piece each time it is due. */
class SimStream implements Timed {
  readonly #socket: net.Socket;
  readonly #pieces: readonly Buffer[];
  readonly #gapMs: number;
  readonly #onEnd: (() => void) | undefined;
  #next = 0;

  constructor(socket: net.Socket, plan: StreamPlan) {
    this.#socket = socket;
    this.#pieces = plan.pieces;
    this.#gapMs = plan.gapMs;
    this.#onEnd = plan.onEnd;
  }

  due(): number {
    const piece = this.#pieces[this.#next];
    if (piece === undefined || this.#socket.destroyed) return 0;
    this.#socket.write(piece);
    this.#next += 1;
    if (this.#next < this.#pieces.length) return this.#gapMs;
    this.#onEnd?.();
    return 0;
  }
}

/** A connection, and the request on it that the log has taken in. */
interface Caller {
  readonly socket: net.Socket;
  visit: SimRequestLog | undefined;
}

/** Answers requests; replies are cached by shape, and all paced streams share one timer. */
class SimBackend {
  readonly #wheel = new TimerWheel();
  readonly #replies = new Map<string, Reply>();
  /** Present after the first `POST /sim/log`, so that loads that only measure pay for no log. */
  #log: SimLog | undefined;

  accept(socket: net.Socket): void {
    const reader = new RequestReader();
    const caller: Caller = { socket, visit: undefined };
    socket.setNoDelay(true);
    socket.on("error", () => socket.destroy());
    socket.on("close", () => {
      if (caller.visit !== undefined) this.#log?.leave(caller.visit);
    });
    socket.on("data", (bytes: Buffer) => {
      try {
        reader.feed(bytes, (request) => this.#answer(caller, request));
      } catch {
        socket.end(BAD_REQUEST);
      }
    });
  }

  #answer(caller: Caller, request: SimRequest): void {
    const { socket } = caller;
    if (!isTokenEndpoint(request.path)) {
      socket.write(FIXED.get(`${request.method} ${request.path}`) ?? this.#serveLog(request) ?? NOT_FOUND);
      return;
    }
    const asked = JSON.parse(request.body) as RequestBody;
    const profile = PROFILES.find(({ model }) => asked.model === model || asked.model === `${model}:latest`);
    if (profile === undefined) {
      socket.write(NOT_FOUND);
      return;
    }
    const entry = this.#log?.enter(asked.messages?.[0]?.content ?? "");
    if (typeof entry === "number") {
      socket.write(jsonResponse(entry, { error: "not now" }));
      return;
    }
    caller.visit = entry;
    const paced = this.#log?.paced(profile) ?? profile;
    this.#reply(caller, paced, this.#replyOf(shapeOf(request.path, asked, paced)));
  }

  #serveLog({ method, path, body }: SimRequest): Buffer | undefined {
    if (path !== "/sim/log") return undefined;
    if (method === "POST") this.#log = new SimLog(JSON.parse(body) as SimRules);
    return jsonResponse(200, this.#log?.report() ?? {});
  }

  /** Streams at the profile's pace; a whole answer takes as long as its stream would. */
  #reply({ socket, visit }: Caller, profile: Profile, reply: Reply): void {
    const streamed = reply.pieces.length > 1;
    const log = this.#log;
    const onEnd = visit === undefined ? undefined : (): void => log?.end(visit);
    const pieces = streamed && profile.gapMs > 0 ? reply.pieces : [reply.whole];
    const stream = new SimStream(socket, { pieces, gapMs: profile.gapMs, onEnd });
    const waitMs = streamed ? profile.firstMs : durationMs(profile);
    const delayMs = waitMs === 0 ? stream.due() : waitMs;
    if (delayMs > 0) this.#wheel.add(stream, delayMs);
  }

  #replyOf(shape: ReplyShape): Reply {
    const key = `${shape.endpoint} ${shape.model} ${shape.tokens} ${shape.stream} ${shape.usage}`;
    const known = this.#replies.get(key);
    if (known !== undefined) return known;
    const built = buildReply(shape);
    this.#replies.set(key, built);
    return built;
  }
}

/** The fields of a request that the simulation reads. */
interface RequestBody {
  readonly model?: string;
  readonly messages?: readonly { readonly content: string }[];
  readonly stream?: boolean;
  readonly max_tokens?: number;
  readonly options?: { readonly num_predict?: number };
  readonly stream_options?: { readonly include_usage?: boolean };
}

function isTokenEndpoint(path: string): path is SimEndpoint {
  return ENDPOINTS.has(path);
}

function shapeOf(endpoint: SimEndpoint, asked: RequestBody, profile: Profile): ReplyShape {
  const tokens = asked.max_tokens ?? asked.options?.num_predict ?? profile.tokens;
  return {
    endpoint,
    model: profile.model,
    tokens: Math.min(Math.max(1, Math.trunc(tokens)), MOST_TOKENS),
    stream: asked.stream ?? endpoint !== "/v1/chat/completions",
    usage: asked.stream_options?.include_usage === true,
  };
}

/** A simulated backend, not yet listening. */
export function simServer(): net.Server {
  const backend = new SimBackend();
  return net.createServer((socket) => backend.accept(socket));
}
