import { dialectOf } from "../core/task.ts";
import type { Task } from "../core/task.ts";
import type { Headers } from "./http.ts";
import { idHeaders } from "./request-id.ts";

/** Keep proxies from holding back events. */
const EVENT_STREAM: Headers = [
  ["cache-control", "no-cache"],
  ["x-accel-buffering", "no"],
];

/** What the first bytes of a stream are sent with. */
export interface ReplyHead {
  readonly status: number;
  readonly type: string;
  readonly dropped?: readonly string[] | undefined;
}

/** The headers of a task's reply. @param dropped the client's fields that were left out */
export function replyHeaders(
  task: Pick<Task, "endpoint" | "requestId">,
  contentType: string,
  dropped: readonly string[] = [],
): Headers {
  const ids = idHeaders(dialectOf(task.endpoint), task.requestId);
  const type = ["content-type", contentType] as const;
  const told = dropped.length === 0 ? [] : [["x-sgnet-dropped", dropped.join(", ")] as const];
  return contentType.startsWith("text/event-stream")
    ? [type, ...EVENT_STREAM, ...ids, ...told]
    : [type, ...ids, ...told];
}
