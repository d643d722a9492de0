import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from "node:http";
import { bodyOf, LocalServer, respondJson } from "../rig/local-server.ts";
import { until } from "../rig/until.ts";

/** A span as OTLP's JSON has it, its attributes as a plain object. */
export interface CollectedSpan {
  readonly name: string;
  readonly kind: number;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly status: { readonly code?: number; readonly message?: string };
  readonly attributes: Readonly<Record<string, unknown>>;
  /** `service.name` of its resource. */
  readonly service: string;
}

/** An OpenTelemetry collector on loopback that takes spans, OTLP over HTTP as JSON. */
export interface Collector {
  readonly url: string;
  readonly spans: CollectedSpan[];
  /** Headers and paths of the requests. */
  readonly requests: { readonly path: string; readonly headers: IncomingHttpHeaders }[];
  /** Status of its replies. */
  status: number;
  /** Resolves with so many spans, once they are there. */
  see(count: number): Promise<readonly CollectedSpan[]>;
  stop(): Promise<void>;
}

interface Batch {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: readonly Pair[] };
    readonly scopeSpans: readonly { readonly spans: readonly RawSpan[] }[];
  }[];
}

interface Pair {
  readonly key: string;
  readonly value: Readonly<Record<string, unknown>>;
}

type RawSpan = Omit<CollectedSpan, "attributes" | "service"> & { readonly attributes: readonly Pair[] };

export async function startCollector(): Promise<Collector> {
  const server = new LocalServer((request, response) => void serve(request, response));
  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = await bodyOf(request);
    collector.requests.push({ path: request.url ?? "", headers: request.headers });
    const { status } = collector;
    if (status === 200) collector.spans.push(...spansOf(JSON.parse(body.toString()) as Batch));
    respondJson(response, status, {});
  };
  await server.listen();
  const collector: Collector = {
    url: server.url,
    spans: [],
    requests: [],
    status: 200,
    see: async (count) => {
      await until(`${count} spans`, () => collector.spans.length >= count);
      return collector.spans;
    },
    stop: () => server.stop(),
  };
  return collector;
}

function spansOf({ resourceSpans }: Batch): CollectedSpan[] {
  return resourceSpans.flatMap(({ resource, scopeSpans }) => {
    const service = String(plain(resource.attributes)["service.name"]);
    return scopeSpans.flatMap(({ spans }) =>
      spans.map((span) => ({ ...span, attributes: plain(span.attributes), service })),
    );
  });
}

function plain(pairs: readonly Pair[]): Record<string, unknown> {
  return Object.fromEntries(pairs.map(({ key, value }) => [key, Object.values(value)[0]]));
}
