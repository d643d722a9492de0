import type { Task } from "../../../src/core/task.ts";
import { encodeTask } from "../../../src/wire/task-codec.ts";
import { aTask } from "../task.ts";

/** The record that a gateway queues for a task of the model `tiny`. */
export function queuedRecord(id: string): Buffer {
  const task: Task = aTask({
    id,
    createdAt: 0,
    deadline: 9e12,
  });
  return encodeTask(task, true);
}
