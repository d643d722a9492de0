import type { Task } from "../../src/core/task.ts";

/**
 * A task as a gateway queues it.
 * @param own the fields that matter to the test; the rest is a streamed OpenAI chat for the model `tiny`, accepted now
 *   with a deadline in 60 s
 */
export function aTask(own: Partial<Task> = {}): Task {
  const now = Date.now();
  return {
    id: "g.1",
    endpoint: "openai-chat",
    model: "tiny",
    stream: true,
    createdAt: now,
    deadline: now + 60_000,
    requestId: "r",
    trace: "",
    body: Buffer.from("{}"),
    ...own,
  };
}
