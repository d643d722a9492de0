import type { End } from "../../core/chat.ts";
import { sseEvent } from "../../wire/sse.ts";
import { type BlockEvents, BlockEventsWriter, WholeBlocksWriter } from "../blocks-reply.ts";
import type { Block, BlockStep } from "../blocks.ts";
import type { ReplyContext, ReplyWriter } from "../protocol.ts";
import {
  callArguments,
  incompleteReason,
  itemId,
  itemStatus,
  outputItem,
  responseObject,
  type ResponseStatus,
  responseUsage,
  summaryPart,
  textPart,
} from "./responses-object.ts";

/** A writer of a response, as a stream of events or as one object. */
export function openResponse(context: ReplyContext): ReplyWriter {
  return context.stream
    ? new BlockEventsWriter(new ResponseEvents(context))
    : new WholeBlocksWriter((end, blocks) => finished(context, blocks, end));
}

/** Seconds since 1970. */
function secondsOf(ms: number): number {
  return Math.floor(ms / 1000);
}

/** The finished response. */
function finished(context: ReplyContext, blocks: readonly Block[], end: End): object {
  const reason = incompleteReason(end.reason);
  const status = statusOf(end);
  return responseObject(context, {
    status,
    createdAt: secondsOf(context.startedAt),
    completedAt: reason === undefined ? secondsOf(context.now()) : null,
    reason,
    output: blocks.map((block) =>
      outputItem(block, context, itemStatus(block, block.index === blocks.length - 1, end.reason)),
    ),
    usage: responseUsage(end.usage),
  });
}

interface Event {
  readonly type: string;
  readonly [name: string]: unknown;
}

/** The events of a response, numbered from 0. */
class ResponseEvents implements BlockEvents {
  readonly #context: ReplyContext;
  #number = 0;

  constructor(context: ReplyContext) {
    this.#context = context;
  }

  start(): string {
    const response = responseObject(this.#context, {
      status: "in_progress",
      createdAt: secondsOf(this.#context.startedAt),
      completedAt: null,
      reason: undefined,
      output: [],
      usage: null,
    });
    return this.#events([
      { type: "response.created", response },
      { type: "response.in_progress", response },
    ]);
  }

  steps(steps: readonly BlockStep[], blocks: readonly Block[], end: End | undefined): string {
    const last = blocks.length - 1;
    return steps
      .map((step) => {
        const { block } = step;
        const status = end === undefined ? "completed" : itemStatus(block, block.index === last, end.reason);
        return this.#events(eventsOf(step, this.#context, status));
      })
      .join("");
  }

  end(end: End, blocks: readonly Block[]): string {
    const response = finished(this.#context, blocks, end);
    return this.#events([{ type: `response.${statusOf(end)}`, response }]);
  }

  #events(events: readonly Event[]): string {
    return events
      .map((event) => sseEvent(event.type, JSON.stringify({ ...event, sequence_number: this.#number++ })))
      .join("");
  }
}

function statusOf(end: End): ResponseStatus {
  return incompleteReason(end.reason) === undefined ? "completed" : "incomplete";
}

/** The events that tell a step of a block. */
function eventsOf(step: BlockStep, context: ReplyContext, status: ResponseStatus): readonly Event[] {
  const { block } = step;
  const at = { item_id: itemId(block, context), output_index: block.index };
  switch (step.step) {
    case "open":
      return opened(block, outputItem(block, context, "in_progress"), at);
    case "delta":
      return [{ type: `${EVENTS[block.type]}.delta`, ...at, ...placeOf(block), delta: step.text }];
    case "close":
      return closed(block, status, { ...at, item: outputItem(block, context, status) });
  }
}

const EVENTS = {
  text: "response.output_text",
  thinking: "response.reasoning_summary_text",
  tool: "response.function_call_arguments",
} as const;

type Address = Readonly<Record<string, unknown>>;

/** Where in its item a text is. */
function placeOf({ type }: Block): Address {
  switch (type) {
    case "text":
      return { content_index: 0, logprobs: [] };
    case "thinking":
      return { summary_index: 0 };
    case "tool":
      return {};
  }
}

/** Texts are parts of their items, with events of their own around them; a tool call's arguments are not. */
function partEvents(block: Block, step: "added" | "done", at: Address): readonly Event[] {
  const text = step === "added" ? "" : block.text;
  switch (block.type) {
    case "text":
      return [{ type: `response.content_part.${step}`, ...at, content_index: 0, part: textPart(text) }];
    case "thinking":
      return [
        { type: `response.reasoning_summary_part.${step}`, ...at, summary_index: 0, part: summaryPart(text) },
      ];
    case "tool":
      return [];
  }
}

function opened(block: Block, item: object, at: Address): readonly Event[] {
  const added: Event = { type: "response.output_item.added", output_index: block.index, item };
  return [added, ...partEvents(block, "added", at)];
}

function closed(block: Block, status: ResponseStatus, { item, ...at }: Address): readonly Event[] {
  const { type, text, name, index } = block;
  const told = type === "tool" ? { name, arguments: callArguments(text, status) } : { text };
  return [
    { type: `${EVENTS[type]}.done`, ...at, ...placeOf(block), ...told },
    ...partEvents(block, "done", at),
    { type: "response.output_item.done", output_index: index, item },
  ];
}
