import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { Keys } from "../../src/redis/keys.ts";
import { openStores } from "../../src/redis/stores.ts";
import { LargeFrames } from "../../src/worker/emitter.ts";
import { FakeConnection } from "../rig/redis/fake-connection.ts";
import { until } from "../rig/until.ts";

const MIB = 1024 * 1024;

/** A Redis that has the reply streams of these tasks. */
class Streams extends FakeConnection {
  readonly open = new Set<string>();

  override async command(...args: (string | Buffer)[]): Promise<unknown> {
    return Promise.resolve([...this.open].some((task) => String(args[1]).endsWith(task)) ? 1 : 0);
  }
}

let frames: LargeFrames | undefined;
afterEach(() => frames?.stop());

function frame(task: string, bytes: number, last = true): Parameters<LargeFrames["admits"]>[0] {
  return { task, attempt: 1, seq: 1, last, bytes: Buffer.allocUnsafe(bytes) };
}

describe("large replies of one worker", () => {
  it("wait until those before them have been fetched, and small ones never do", async () => {
    const connection = new Streams();
    frames = new LargeFrames({ stores: openStores(connection, new Keys("test")) });
    let again = 0;
    const wake = (): void => void (again += 1);
    assert.equal(frames.admits(frame("g.1", 100 * MIB)), true);
    connection.open.add("g.1");
    assert.equal(frames.admits(frame("g.1", 100 * MIB)), true, "sent again");
    assert.equal(again, 0);
    assert.equal(frames.admits(frame("g.2", 60 * MIB)), false);
    frames.wait(wake);
    assert.equal(frames.admits(frame("g.3", MIB)), true);
    assert.equal(frames.admits(frame("g.4", 60 * MIB, false)), true, "a frame of a stream, which is paced");
    await until("a check", () => again === 1);
    assert.equal(frames.admits(frame("g.2", 60 * MIB)), false);
    frames.wait(wake);
    connection.open.delete("g.1");
    await until("another check", () => again === 2);
    assert.equal(frames.admits(frame("g.2", 60 * MIB)), true);
  });

  it("may go alone, whatever its size", () => {
    frames = new LargeFrames({ stores: openStores(new Streams(), new Keys("test")) });
    assert.equal(frames.admits(frame("g.1", 200 * MIB)), true);
  });
});
