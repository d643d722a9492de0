import type { End } from "../../core/chat.ts";
import { sseEvent } from "../../wire/sse.ts";
import { type BlockEvents, BlockEventsWriter, WholeBlocksWriter } from "../blocks-reply.ts";
import type { Block, BlockStep } from "../blocks.ts";
import type { ReplyContext, ReplyWriter } from "../protocol.ts";
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
  type Telling,
  textPart,
} from "./responses-object.ts";
import { FUNCTION_FORM } from "./tool-forms.ts";
import { ToolTable } from "./tool-table.ts";

/** A writer of a response, as a stream of events or as one object. */
export function openResponse(context: ReplyContext): ReplyWriter {
  const telling = { context, tools: new ToolTable(context.body) };
  return context.stream
    ? new BlockEventsWriter(new ResponseEvents(telling))
    : new WholeBlocksWriter((end, blocks) => finished(telling, blocks, end));
}

/** Seconds since 1970. */
function secondsOf(ms: number): number {
  return Math.floor(ms / 1000);
}

/** The finished response. */
function finished(telling: Telling, blocks: readonly Block[], end: End): object {
  const { context } = telling;
  const reason = incompleteReason(end.reason);
  const status = statusOf(end);
  return responseObject(telling, {
    status,
    createdAt: secondsOf(context.startedAt),
    completedAt: reason === undefined ? secondsOf(context.now()) : null,
    reason,
    output: blocks.map((block) =>
      outputItem(block, telling, itemStatus(block, block.index === blocks.length - 1, end.reason)),
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
  readonly #telling: Telling;
  #number = 0;

  constructor(telling: Telling) {
    this.#telling = telling;
  }

  start(): string {
    const response = responseObject(this.#telling, {
      status: "in_progress",
      createdAt: secondsOf(this.#telling.context.startedAt),
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
        return this.#events(eventsOf(step, this.#telling, status));
      })
      .join("");
  }

  end(end: End, blocks: readonly Block[]): string {
    const response = finished(this.#telling, blocks, end);
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
function eventsOf(step: BlockStep, telling: Telling, status: ResponseStatus): readonly Event[] {
  const { block } = step;
  const at = { item_id: itemId(block, telling), output_index: block.index };
  const form = calledTool(block, telling)?.form ?? FUNCTION_FORM;
  // A call of another form is understood when its arguments are complete: it is told in one go.
  if (form !== FUNCTION_FORM) return step.step === "close" ? wholeCall(block, telling, status) : [];
  switch (step.step) {
    case "open":
      return opened(block, outputItem(block, telling, "in_progress"), at);
    case "delta":
      return [{ type: `${EVENTS[block.type]}.delta`, ...at, ...placeOf(block), delta: step.text }];
    case "close":
      return closed(block, status, { ...at, item: outputItem(block, telling, status) });
  }
}

/** The events of a call that is no plain function's. Free text has events of its own. */
function wholeCall(block: Block, telling: Telling, status: ResponseStatus): readonly Event[] {
  const at = { item_id: itemId(block, telling), output_index: block.index };
  const item = outputItem(block, telling, status);
  const input = "input" in item ? item.input : undefined;
  const texts: readonly Event[] =
    input === undefined
      ? []
      : [
          { type: "response.custom_tool_call_input.delta", ...at, delta: input },
          { type: "response.custom_tool_call_input.done", ...at, input },
        ];
  const begun = outputItem(block, telling, input === undefined ? status : "in_progress");
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

function closed(block: Block, status: ResponseStatus, { item, ...at }: Closing): readonly Event[] {
  const { type, text, index } = block;
  const name = "name" in item ? item.name : undefined;
  const told = type === "tool" ? { name, arguments: callArguments(text, status) } : { text };
  return [
    { type: `${EVENTS[type]}.done`, ...at, ...placeOf(block), ...told },
    ...partEvents(block, "done", at),
    { type: "response.output_item.done", output_index: index, item },
  ];
}
