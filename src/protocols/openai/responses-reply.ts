import type { End } from "../../core/chat.ts";
import { sseEvent } from "../../wire/sse.ts";
import { type BlockEvents, BlockStreamWriter, BlockObjectWriter } from "../block-writers.ts";
import type { Block, BlockStep } from "../blocks.ts";
import type { ReplyContext, ReplyWriter } from "../codec.ts";
import {
  callArguments,
  calledTool,
  incompleteReason,
  itemId,
  itemStatus,
  outputItem,
  responseObject,
  type ResponseStatus,
  responseUsage,
  summaryPart,
  type ResponseContext,
  textPart,
} from "./responses-object.ts";
import { FUNCTION_FORM } from "./tool-forms.ts";
import { ToolTable } from "./tool-table.ts";

/** A writer of a response, as a stream of events or as one object. */
export function openResponse(context: ReplyContext): ReplyWriter {
  const scope = { context, tools: new ToolTable(context.body) };
  return context.stream
    ? new BlockStreamWriter(new ResponseEvents(scope))
    : new BlockObjectWriter((end, blocks) => finished(scope, blocks, end));
}

/** Seconds since 1970. */
function secondsOf(ms: number): number {
  return Math.floor(ms / 1000);
}

/** The finished response. */
function finished(scope: ResponseContext, blocks: readonly Block[], end: End): object {
  const { context } = scope;
  const reason = incompleteReason(end.reason);
  const status = statusOf(end);
  return responseObject(scope, {
    status,
    createdAt: secondsOf(context.startedAt),
    completedAt: reason === undefined ? secondsOf(context.now()) : null,
    reason,
    output: blocks.map((block) =>
      outputItem(block, scope, itemStatus(block, block.index === blocks.length - 1, end.reason)),
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
  readonly #scope: ResponseContext;
  #number = 0;

  constructor(scope: ResponseContext) {
    this.#scope = scope;
  }

  start(): string {
    const response = responseObject(this.#scope, {
      status: "in_progress",
      createdAt: secondsOf(this.#scope.context.startedAt),
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
        return this.#events(eventsOf(step, this.#scope, status));
      })
      .join("");
  }

  end(end: End, blocks: readonly Block[]): string {
    const response = finished(this.#scope, blocks, end);
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

/** The events of one step of a block. */
function eventsOf(step: BlockStep, scope: ResponseContext, status: ResponseStatus): readonly Event[] {
  const { block } = step;
  const at = { item_id: itemId(block, scope), output_index: block.index };
  const form = calledTool(block, scope)?.form ?? FUNCTION_FORM;
  // A call of another tool type is sent at once, when its arguments are complete.
  if (form !== FUNCTION_FORM) return step.step === "close" ? completeCall(block, scope, status) : [];
  switch (step.step) {
    case "open":
      return opened(block, outputItem(block, scope, "in_progress"), at);
    case "delta":
      return [{ type: `${EVENTS[block.type]}.delta`, ...at, ...positionOf(block), delta: step.text }];
    case "close":
      return closed(block, status, { ...at, item: outputItem(block, scope, status) });
  }
}

/** The events of a call of another tool type. Free text has events of its own. */
function completeCall(block: Block, scope: ResponseContext, status: ResponseStatus): readonly Event[] {
  const at = { item_id: itemId(block, scope), output_index: block.index };
  const item = outputItem(block, scope, status);
  const input = "input" in item ? item.input : undefined;
  const texts: readonly Event[] =
    input === undefined
      ? []
      : [
          { type: "response.custom_tool_call_input.delta", ...at, delta: input },
          { type: "response.custom_tool_call_input.done", ...at, input },
        ];
  const begun = outputItem(block, scope, input === undefined ? status : "in_progress");
  return [
    { type: "response.output_item.added", output_index: block.index, item: begun },
    ...texts,
    { type: "response.output_item.done", output_index: block.index, item },
  ];
}

const EVENTS = {
  text: "response.output_text",
  thinking: "response.reasoning_summary_text",
  tool: "response.function_call_arguments",
} as const;

type Address = Readonly<Record<string, unknown>>;

interface Closing extends Address {
  readonly item: object;
}

/** The position of a text in its item. */
function positionOf({ type }: Block): Address {
  switch (type) {
    case "text":
      return { content_index: 0, logprobs: [] };
    case "thinking":
      return { summary_index: 0 };
    case "tool":
      return {};
  }
}

/** The events around a text, which is a part of its item. The arguments of a tool call have none. */
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

function closed(block: Block, status: ResponseStatus, { item, ...at }: Closing): readonly Event[] {
  const { type, text, index } = block;
  const name = "name" in item ? item.name : undefined;
  const fields = type === "tool" ? { name, arguments: callArguments(text, status) } : { text };
  return [
    { type: `${EVENTS[type]}.done`, ...at, ...positionOf(block), ...fields },
    ...partEvents(block, "done", at),
    { type: "response.output_item.done", output_index: index, item },
  ];
}
