import { abilityOf, modelOf, PLAIN } from "../core/ability.ts";
import { tagOf } from "../core/task.ts";

/**
 * Every Redis key and channel, with its type and life. What stands in braces is the hash tag: keys that one
 * script or one command touches together share it, so that they are in one slot of a Redis Cluster.
 */
export class Keys {
  readonly prefix: string;

  constructor(prefix: string) {
    this.prefix = prefix;
  }

  /** STREAM with consumer group `w`; an entry lives from XADD to XDEL at its answer. One per model, and per ability queue of it. */
  queue(name: string): string {
    const { tag, ability } = partsOf(name);
    return `${this.prefix}:q:{${tag}}:${ability}`;
  }

  /** LIST of wake-up tokens, one per enqueued task; hints only. All share one tag: one BLMPOP serves many models. */
  doorbell(queue: string): string {
    const { tag, ability } = partsOf(queue);
    return `${this.prefix}:t:{d}:${tag}:${ability}`;
  }

  /** LIST that ends the wait of one claimer when its worker stops; shares the tag of the doorbells. */
  farewell(claimer: string): string {
    return `${this.prefix}:t:{d}:@${claimer}`;
  }

  /** STREAM of frames; expires at the task's deadline, 60 s after its end frame, or is unlinked by its gateway. */
  reply(task: string): string {
    return `${this.prefix}:r:{${tagOf(task)}}:${task}`;
  }

  /** STRING, a body too large for the queue entry; expires at the task's deadline. */
  body(task: string): string {
    return `${this.prefix}:b:{${tagOf(task)}}:${task}`;
  }

  /** CHANNEL on which workers publish the frames of all tasks of one gateway. */
  channel(tag: string): string {
    return `${this.prefix}:c:{${tag}}`;
  }

  /** STRING (JSON), 15 s, renewed: a gateway is alive. */
  gateway(tag: string): string {
    return `${this.prefix}:gw:${tag}`;
  }

  /** STRING (JSON), 15 s, renewed: the metrics of a gateway process that shares its port with others. */
  gatewayMetrics(tag: string): string {
    return `${this.prefix}:gm:${tag}`;
  }

  /** ZSET tag -> ms of the last announcement. */
  gateways(): string {
    return `${this.prefix}:gws`;
  }

  /** STRING (JSON), 15 s, renewed: a worker, its backends, models and slots. */
  worker(id: string): string {
    return `${this.prefix}:wk:${id}`;
  }

  /** STRING (JSON), 15 s, renewed: a worker's metrics. */
  workerMetrics(id: string): string {
    return `${this.prefix}:wm:${id}`;
  }

  /** ZSET worker id -> ms of the last announcement. */
  workers(): string {
    return `${this.prefix}:wks`;
  }

  /** ZSET name of a queue (a model key, or one with an ability) -> ms when a worker last served it. */
  models(): string {
    return `${this.prefix}:models`;
  }

  /** CHANNEL of one worker: cancels for tasks it is known to run. */
  control(worker: string): string {
    return `${this.prefix}:ctl:${worker}`;
  }

  /** CHANNEL of all workers: cancels for tasks whose worker is not known yet. */
  controlAll(): string {
    return `${this.prefix}:ctl`;
  }

  /** CHANNEL on which workers tell that they came, left or changed. */
  fleet(): string {
    return `${this.prefix}:ev`;
  }

  /** STREAM of summaries (JSON) of ended tasks, newest last, trimmed to about 10,000. */
  log(): string {
    return `${this.prefix}:log`;
  }

  /** STREAM of tasks given up, newest last, trimmed to about 10,000. One per model. */
  dead(model: string): string {
    return `${this.prefix}:dead:{${partsOf(model).tag}}`;
  }

  /** STRING, 1 day: the body of a task given up that was too large for its queue entry. */
  deadBody(model: string, task: string): string {
    return `${this.prefix}:db:{${partsOf(model).tag}}:${task}`;
  }

  /** STRING, 15 s, renewed: who runs a dead letter again. */
  deadHold(model: string, letter: string): string {
    return `${this.prefix}:dh:{${partsOf(model).tag}}:${letter}`;
  }

  /** ZSET model key -> ms of the last dead letter: the models that have any. */
  deads(): string {
    return `${this.prefix}:deads`;
  }
}

/** Consumer group of every queue. */
export const GROUP = "w";

interface QueueParts {
  /** The escaped model: the hash tag. */
  readonly tag: string;
  readonly ability: string;
}

/** As many names are kept at hand: to escape one anew took 1.5 us, several times per look at a queue. */
const MOST_KEPT = 1000;

const kept = new Map<string, QueueParts>();

/** A model id can hold anything; braces would end the hash tag early. */
function partsOf(queue: string): QueueParts {
  const known = kept.get(queue);
  if (known !== undefined) return known;
  const tag = modelOf(queue).replace(
    /[{}%\s]/g,
    (char) => `%${char.charCodeAt(0).toString(16).padStart(2, "0")}`,
  );
  const parts = { tag, ability: abilityOf(queue) ?? PLAIN };
  if (kept.size >= MOST_KEPT) kept.clear();
  kept.set(queue, parts);
  return parts;
}
