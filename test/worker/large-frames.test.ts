import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { Keys } from "../../src/redis/keys.ts";
import { LargeFrames } from "../../src/worker/large-frames.ts";
import { FakeConnection } from "../redis/fake-connection.ts";
import { until } from "../journey/until.ts";

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

const never = (): void => assert.fail("it was not to wait");

describe("large replies of one worker", () => {
  it("wait until those before them have been fetched, and small ones never do", async () => {
    const connection = new Streams();
    frames = new LargeFrames({ connection, keys: new Keys("test") });
    let again = 0;
    const wake = (): void => void (again += 1);
    assert.equal(frames.admits(frame("g.1", 100 * MIB), never), true);
    connection.open.add("g.1");
    assert.equal(frames.admits(frame("g.1", 100 * MIB), never), true, "sent again");
    assert.equal(frames.admits(frame("g.2", 60 * MIB), wake), false);
    assert.equal(frames.admits(frame("g.3", MIB), never), true);
    assert.equal(frames.admits(frame("g.4", 60 * MIB, false), never), true, "of a stream, which is paced");
    await until("a look", () => again === 1);
    assert.equal(frames.admits(frame("g.2", 60 * MIB), wake), false);
    connection.open.delete("g.1");
    await until("another look", () => again === 2);
    assert.equal(frames.admits(frame("g.2", 60 * MIB), never), true);
  });

  it("of any size may go alone", () => {
    frames = new LargeFrames({ connection: new Streams(), keys: new Keys("test") });
    assert.equal(
      frames.admits(frame("g.1", 200 * MIB), () => {}),
      true,
    );
  });
});
