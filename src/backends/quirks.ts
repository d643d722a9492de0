import type { Fault } from "../core/fault.ts";
import type { Task } from "../core/task.ts";
import type { Learned } from "../protocols/protocol.ts";
import { isSystemLate } from "../protocols/system-first.ts";
import { parseBody } from "../protocols/openai/passthrough.ts";

/** Statuses by which servers refuse a member or a message that they do not know. */
const REFUSED: ReadonlySet<number> = new Set([400, 422]);
/** Templates raise errors of their own, which some servers take for theirs. */
const TEMPLATE_FAILED = 500;

/**
 * Keeps what was learned by trying one backend: how it differs from others of its kind. It lasts while the worker runs.
 * A refusal is tried again once with what may be the cause left out, until the backend has shown that it takes it.
 */
export class Quirks {
  #learned: Learned = {};
  #takesStreamOptions = false;
  #takesLateSystem = false;

  get learned(): Learned {
    return this.#learned;
  }

  /** In a few words each, for people; none when the backend is as its kind. */
  get told(): readonly string[] {
    const { streamOptions, systemFirst, thoughts } = this.#learned;
    return [
      ...(streamOptions === false ? ["refuses stream_options"] : []),
      ...(systemFirst === true ? ["takes one system message only, as the first"] : []),
      ...(thoughts === undefined ? [] : [`tells and reads thoughts as ${thoughts}`]),
    ];
  }

  /** Returns what to try after a refusal, one after the other. @param relayed true when the client's bytes were sent */
  lessonsFor(task: Task, { http }: Fault, relayed: boolean): readonly Learned[] {
    const { streamOptions, systemFirst } = this.#learned;
    const lessons: Learned[] = [];
    if (task.stream && streamOptions === undefined && !this.#takesStreamOptions && REFUSED.has(http)) {
      lessons.push({ streamOptions: false });
    }
    const isTemplate = REFUSED.has(http) || http === TEMPLATE_FAILED;
    if (relayed && systemFirst === undefined && !this.#takesLateSystem && isTemplate && hasLateSystem(task)) {
      lessons.push({ systemFirst: true });
    }
    return lessons;
  }

  remember(lesson: Learned): void {
    this.#learned = { ...this.#learned, ...lesson };
  }

  /** A request was answered as it was sent. */
  served(task: Task, relayed: boolean): void {
    this.#takesStreamOptions ||= task.stream && this.#learned.streamOptions === undefined;
    if (relayed && !this.#takesLateSystem && this.#learned.systemFirst === undefined) {
      this.#takesLateSystem = hasLateSystem(task);
    }
  }
}

const ROLES = [Buffer.from('"system"'), Buffer.from('"developer"')] as const;

/** A body without the words needs no reading. */
function hasLateSystem({ endpoint, body }: Task): boolean {
  if (endpoint !== "openai-chat" || !ROLES.some((role) => body.includes(role))) return false;
  return isSystemLate(parseBody(body));
}
