import type { Task } from "../../src/core/task.ts";
import { encodeTask } from "../../src/wire/task-codec.ts";

/** What a gateway queues for a task of the model `tiny`. */
export function queuedRecord(id: string): Buffer {
  const task: Task = {
    id,
    endpoint: "openai-chat",
    model: "tiny",
    stream: true,
    createdAt: 0,
    deadline: 9e12,
    requestId: "r",
    trace: "",
    body: Buffer.from("{}"),
  };
  return encodeTask(task, true);
}
