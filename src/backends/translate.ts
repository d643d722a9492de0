import type { ChatRequest, LoadRequest, NeutralRequest } from "../core/chat.ts";
import { estimateTokens } from "../protocols/token-estimate.ts";
import { answerCount, AnswerWriter, type ParsedTask, parseTask } from "./answer.ts";
import type { Answer, SlotLender } from "./backend.ts";
import { choicesOf, requestOfChoice, runChoices } from "./choices.ts";
import { type RequestSender, type TaskRun, unreadable } from "./request-sender.ts";

/** Facts of a server that decide how a request is translated. */
export interface TranslationRules {
  readonly lender: SlotLender | undefined;
  /** False: only admins may unload models. */
  readonly unloads: boolean;
  /** Names of the models that can think. */
  readonly thinkingModels: ReadonlySet<string>;
}

/** Runs a task on a server of another dialect. The reply is read into parts, which are written in the client's dialect. */
export async function translate(
  sender: RequestSender,
  run: TaskRun,
  rules: TranslationRules,
): Promise<Answer> {
  const { task, model, sink, signal } = run;
  const opened = parseTask(task);
  const isOllama = sender.codec.dialect === "ollama";
  const request = isOllama ? withinAbility(opened.request, rules.thinkingModels.has(model)) : opened.request;
  if (opened.endpoint.counts && request.kind === "chat") {
    return answerCount(new AnswerWriter(opened, sink), estimateTokens(request));
  }
  const isHeld = request.kind === "load" && request.unload && task.admin !== true && !rules.unloads;
  // Other servers than Ollama have all listed models loaded.
  if (request.kind === "load" && (isHeld || !isOllama)) {
    return answerLoad(request, { opened, run, dropped: isOllama ? ["keep_alive"] : [] });
  }
  const encoded = sender.encode(request, run);
  const unable = request === opened.request ? [] : ["thinking"];
  const answer = new AnswerWriter(opened, sink, { dropped: [...(encoded.dropped ?? []), ...unable] });
  const runChoice = async (choice: number, stop: AbortSignal): Promise<void> => {
    const own = requestOfChoice(request, choice);
    const { path, body } = own === request ? encoded : sender.encode(own, run);
    const reader = sender.codec.reader({ request, stream: task.stream });
    const onChunk = (chunk: Buffer): void => {
      try {
        answer.write(reader.push(chunk), choice);
      } catch (error) {
        throw unreadable(error);
      }
    };
    const { trace } = task;
    await sender.send({ path, body }, { model, trace, signal: stop, sink, onHead: () => {}, onChunk });
    readable(() => answer.write(reader.end(), choice));
    if (reader.learned !== undefined) sender.quirks.remember(reader.learned);
  };
  await runChoices({ choices: choicesOf(request), lender: rules.lender, signal, run: runChoice });
  return readable(() => answer.finish());
}

/** Answers a request to load or unload a model, which changes nothing at the server. */
function answerLoad(
  { unload }: LoadRequest,
  {
    opened,
    run,
    dropped,
  }: { readonly opened: ParsedTask; readonly run: TaskRun; readonly dropped: string[] },
): Answer {
  const answer = new AnswerWriter(opened, run.sink, { dropped });
  answer.write([{ type: "end", reason: unload ? "unload" : "load" }]);
  return answer.finish();
}

/** The request, without an optional wish to think where Ollama's model cannot: Ollama would refuse it. */
function withinAbility(request: NeutralRequest, canThink: boolean): NeutralRequest {
  return request.kind === "chat" && request.thinkIfAble && !canThink ? withoutThinking(request) : request;
}

function withoutThinking({ think: _think, thinkIfAble: _wish, ...rest }: ChatRequest): ChatRequest {
  return rest;
}

/** Reads the end of a reply. Throws what {@link unreadable} makes of a failure. */
function readable<Result>(read: () => Result): Result {
  try {
    return read();
  } catch (error) {
    throw unreadable(error);
  }
}
