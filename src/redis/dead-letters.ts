import type { FaultRecord } from "../core/fault.ts";
import type { Connection } from "./connection.ts";
import type { Keys } from "./keys.ts";

const KEEP = "10000";

/** Keeps a task that was given up, with the reason, for people to look at. */
export async function bury(
  connection: Connection,
  keys: Keys,
  letter: {
    readonly model: string;
    readonly payload: Buffer;
    readonly fault: FaultRecord;
    readonly deliveries: number;
    readonly worker: string;
  },
): Promise<void> {
  await connection.command(
    "XADD",
    keys.dead(letter.model),
    "MAXLEN",
    "~",
    KEEP,
    "*",
    "t",
    letter.payload,
    "code",
    letter.fault.code,
    "message",
    letter.fault.message,
    "deliveries",
    String(letter.deliveries),
    "worker",
    letter.worker,
  );
}
