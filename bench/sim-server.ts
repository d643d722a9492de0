/** The simulated backend: Ollama and OpenAI on raw sockets, light enough not to be what is measured. */
import net from "node:net";
import { PROFILES } from "./profiles.ts";
import type { Profile } from "./profiles.ts";
import { buildReply, jsonResponse } from "./replies.ts";
import type { Reply, ReplyShape, SimEndpoint } from "./replies.ts";
import { RequestReader } from "./request-reader.ts";
import type { SimRequest } from "./request-reader.ts";
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

const LISTS: ReadonlyMap<string, Buffer> = new Map([
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

/** A reply on its way, one piece each time it is due. */
class SimStream implements Timed {
  readonly #socket: net.Socket;
  readonly #pieces: readonly Buffer[];
  readonly #gapMs: number;
  #next = 0;

  constructor(socket: net.Socket, pieces: readonly Buffer[], gapMs: number) {
    this.#socket = socket;
    this.#pieces = pieces;
    this.#gapMs = gapMs;
  }

  due(): number {
    const piece = this.#pieces[this.#next];
    if (piece === undefined || this.#socket.destroyed) return 0;
    this.#socket.write(piece);
    this.#next += 1;
    return this.#next < this.#pieces.length ? this.#gapMs : 0;
  }
}

/** Answers requests; replies are cached by shape, and all paced streams share one timer. */
class SimBackend {
  readonly #wheel = new TimerWheel();
  readonly #replies = new Map<string, Reply>();

  accept(socket: net.Socket): void {
    const reader = new RequestReader();
    socket.setNoDelay(true);
    socket.on("error", () => socket.destroy());
    socket.on("data", (bytes: Buffer) => {
      try {
        reader.feed(bytes, (request) => this.#answer(socket, request));
      } catch {
        socket.end(BAD_REQUEST);
      }
    });
  }

  #answer(socket: net.Socket, request: SimRequest): void {
    if (!isTokenEndpoint(request.path)) {
      socket.write(LISTS.get(`${request.method} ${request.path}`) ?? NOT_FOUND);
      return;
    }
    const asked = JSON.parse(request.body) as Asked;
    const profile = PROFILES.find(({ model }) => asked.model === model || asked.model === `${model}:latest`);
    if (profile === undefined) socket.write(NOT_FOUND);
    else this.#reply(socket, profile, this.#replyOf(shapeOf(request.path, asked, profile)));
  }

  #reply(socket: net.Socket, profile: Profile, reply: Reply): void {
    const paced = profile.gapMs > 0 && reply.pieces.length > 1;
    const stream = new SimStream(socket, paced ? reply.pieces : [reply.whole], profile.gapMs);
    const delayMs = profile.firstMs === 0 ? stream.due() : profile.firstMs;
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

/** The fields of a request that the simulation looks at. */
interface Asked {
  readonly model?: string;
  readonly stream?: boolean;
  readonly max_tokens?: number;
  readonly options?: { readonly num_predict?: number };
  readonly stream_options?: { readonly include_usage?: boolean };
}

function isTokenEndpoint(path: string): path is SimEndpoint {
  return ENDPOINTS.has(path);
}

function shapeOf(endpoint: SimEndpoint, asked: Asked, profile: Profile): ReplyShape {
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
