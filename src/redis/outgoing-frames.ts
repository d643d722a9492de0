import { encodeFrame } from "../wire/frame-codec.ts";

/** A frame to be appended to a reply stream. */
export interface OutgoingFrame {
  readonly task: string;
  readonly attempt: number;
  readonly seq: number;
  readonly last: boolean;
  readonly bytes: Buffer;
}

/**
 * Outcome of a frame. `gone`: the client is gone. `fenced`: a later attempt has taken over.
 * `refused`: Redis could not store it now. Send it again.
 */
export type EmitResult = "accepted" | "gone" | "fenced" | "refused";

const NOTHING = Buffer.alloc(0);

/**
 * Most bytes of frames in one message to a gateway. By default Redis disconnects a subscriber that is 32 MiB behind.
 * Messages of all tasks of that gateway are lost then.
 */
export const MOST_PUBLISHED: number = 4 * 1024 * 1024;

/** Sequence number of the nudge that replaces a frame too large to be published. */
export const NUDGE_SEQ: number = Number.MAX_SAFE_INTEGER;

/** Groups frames that fit into one message. A frame that is too large is a group of its own. */
export function bySize(frames: readonly OutgoingFrame[]): OutgoingFrame[][] {
  const groups: OutgoingFrame[][] = [];
  let size = Infinity;
  for (const frame of frames) {
    size += frame.bytes.length;
    if (size <= MOST_PUBLISHED) {
      groups.at(-1)?.push(frame);
      continue;
    }
    size = frame.bytes.length;
    groups.push([frame]);
  }
  return groups;
}

/** Makes a frame with a future number: the gateway reads the frames before it from the reply stream. */
export function nudgeFor({ task, attempt }: OutgoingFrame): Buffer {
  return encodeFrame({ task, attempt, seq: NUDGE_SEQ, bytes: NOTHING });
}
