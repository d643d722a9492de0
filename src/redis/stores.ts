import { AbandonedTasks } from "./abandoned-tasks.ts";
import { AccessRecords } from "./access/access-records.ts";
import { AuditLog } from "./audit-log.ts";
import { OpenSlotStore } from "./access/open-slots.ts";
import { BodyStore } from "./body-store.ts";
import type { Connection } from "./connection/connection.ts";
import { DeadLetters } from "./dead-letters.ts";
import { Doorbells } from "./doorbells.ts";
import type { Keys } from "./keys.ts";
import { PlacedConsumer } from "./placed-consumer.ts";
import { RateLimits } from "./access/rate-limits.ts";
import { QueueConsumer } from "./queue-consumer.ts";
import { Registry } from "./registry.ts";
import { ReplyStore } from "./reply-store.ts";
import { TaskControl } from "./task-control.ts";
import { TaskLeases } from "./task-leases.ts";
import { TaskQueue } from "./task-queue.ts";
import { UsageStore } from "./access/usage-store.ts";

/** All stores of one connection. They have no state, so several sets may share a connection. */
export interface Stores {
  readonly queue: TaskQueue;
  readonly doorbells: Doorbells;
  readonly consumer: QueueConsumer;
  readonly placed: PlacedConsumer;
  readonly rates: RateLimits;
  readonly leases: TaskLeases;
  readonly abandoned: AbandonedTasks;
  readonly replies: ReplyStore;
  readonly bodies: BodyStore;
  readonly control: TaskControl;
  readonly registry: Registry;
  readonly letters: DeadLetters;
  readonly access: AccessRecords;
  readonly audit: AuditLog;
  readonly usage: UsageStore;
  readonly openSlots: OpenSlotStore;
}

/** Binds every store to a connection and the names of its keys. Sends nothing. */
export function openStores(connection: Connection, keys: Keys): Stores {
  return {
    queue: new TaskQueue(connection, keys),
    doorbells: new Doorbells(connection, keys),
    consumer: new QueueConsumer(connection, keys),
    placed: new PlacedConsumer(connection, keys),
    rates: new RateLimits(connection, keys),
    leases: new TaskLeases(connection, keys),
    abandoned: new AbandonedTasks(connection, keys),
    replies: new ReplyStore(connection, keys),
    bodies: new BodyStore(connection, keys),
    control: new TaskControl(connection, keys),
    registry: new Registry(connection, keys),
    letters: new DeadLetters(connection, keys),
    access: new AccessRecords(connection, keys),
    audit: new AuditLog(connection, keys),
    usage: new UsageStore(connection, keys),
    openSlots: new OpenSlotStore(connection, keys),
  };
}
