import { abilityOf, modelOf, PLAIN_QUEUE } from "../core/ability.ts";
import { tagOf } from "../core/task.ts";

/**
 * Every Redis key and channel, with its type and life. The text in braces is the hash tag.
 * Keys that one script or command touches together share it: they are then in one slot of a Redis Cluster.
 */
export class Keys {
  readonly prefix: string;

  constructor(prefix: string) {
    this.prefix = prefix;
  }

  /** STREAM with consumer group `w`; an entry lives from XADD to XDEL at its answer. One per model and ability queue. */
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
  interrupt(claimer: string): string {
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

  /** ZSET name of a queue -> ms when a worker last served it. */
  models(): string {
    return `${this.prefix}:models`;
  }

  /** CHANNEL of one worker: messages about tasks that it runs. */
  control(worker: string): string {
    return `${this.prefix}:ctl:${worker}`;
  }

  /** CHANNEL of all workers: messages about tasks whose worker is not known. */
  controlAll(): string {
    return `${this.prefix}:ctl`;
  }

  /** CHANNEL on which workers announce that they came, left or changed. */
  fleet(): string {
    return `${this.prefix}:ev`;
  }

  /** HASH id -> record (JSON) of a key or a tenant. All three keys of the records share one tag. */
  accessRecords(): string {
    return `${this.prefix}:key:{keys}`;
  }

  /** ZSET id of a record -> version; the member without a name has the newest version. */
  accessVersions(): string {
    return `${this.prefix}:keyv:{keys}`;
  }

  /** HASH name of a key that works -> its id. */
  accessNames(): string {
    return `${this.prefix}:keyn:{keys}`;
  }

  /**
   * HASH tag of a gateway -> slots for open requests of a key, or of a tenant when `key` is absent; expires with its
   * last field, 15 s after its last renewal.
   */
  openSlots({ tenant, key }: { readonly tenant: string; readonly key?: string | undefined }): string {
    return `${this.prefix}:kc:{${tenant}}${key === undefined ? "" : `:${key}`}`;
  }

  /** CHANNEL on which a gateway asks the others for unused slots of a key or tenant. */
  slotWishes(): string {
    return `${this.prefix}:kc`;
  }

  /** STREAM of summaries (JSON) of ended tasks, newest last, trimmed to about 10,000. */
  log(): string {
    return `${this.prefix}:log`;
  }

  /** STREAM of actions of admins (JSON), newest last, trimmed to about 10,000. */
  audit(): string {
    return `${this.prefix}:audit`;
  }

  /** STREAM of dead letters, newest last, trimmed to about 10,000. One per model. */
  dead(model: string): string {
    return `${this.prefix}:dead:{${partsOf(model).tag}}`;
  }

  /** STRING, 1 day: body of a dead letter that was too large for its queue entry. */
  deadBody(model: string, task: string): string {
    return `${this.prefix}:db:{${partsOf(model).tag}}:${task}`;
  }

  /** STRING, 15 s, renewed: lock of a dead letter that runs again; the value names its holder. */
  letterLock(model: string, letter: string): string {
    return `${this.prefix}:dh:{${partsOf(model).tag}}:${letter}`;
  }

  /** HASH field of a rate limit -> what its bucket lacks; expires when all are full. One per tenant, with its keys. */
  rates(tenant: string): string {
    return `${this.prefix}:kl:{${tenant}}`;
  }

  /** ZSET model key -> ms of its last dead letter. */
  deads(): string {
    return `${this.prefix}:deads`;
  }

  /** HASH, 40 days, renewed: tokens that a tenant and its keys used this day and month, and the gateways' batches. */
  budgets(tenant: string): string {
    return `${this.prefix}:kb:{${escaped(tenant)}}`;
  }

  /** HASH, 401 days: the use of a tenant's keys on a day, per key and model. @param day yyyymmdd; empty: USE adds it */
  usage(tenant: string, day: string): string {
    return `${this.prefix}:ku:{${escaped(tenant)}}:${day}`;
  }

  /** ZSET tenant -> ms of about its latest use, 401 days. */
  usedTenants(): string {
    return `${this.prefix}:kt`;
  }
}

/** Formats an expiry for Redis: whole ms, at least 1. */
export function lifeOf(ms: number): string {
  return String(Math.max(1, Math.ceil(ms)));
}

/** Consumer group of every queue. */
export const GROUP = "w";

interface QueueParts {
  /** The escaped model: the hash tag. */
  readonly tag: string;
  readonly ability: string;
}

/** Size of the cache of escaped names. Escaping takes 1.5 us, several times per read of a queue. */
const MOST_KEPT = 1000;

const kept = new Map<string, QueueParts>();

/** Escapes a model name, which can contain any character: braces would end the hash tag early. */
function partsOf(queue: string): QueueParts {
  const known = kept.get(queue);
  if (known !== undefined) return known;
  const tag = escaped(modelOf(queue));
  const parts = { tag, ability: abilityOf(queue) ?? PLAIN_QUEUE };
  if (kept.size >= MOST_KEPT) kept.clear();
  kept.set(queue, parts);
  return parts;
}

function escaped(name: string): string {
  return name.replace(/[{}%\s]/g, (char) => `%${char.charCodeAt(0).toString(16).padStart(2, "0")}`);
}
