import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { describe, it } from "node:test";
import { promisify } from "node:util";
import type { Totals } from "../../bench/journey/report.ts";

/**
 * Two more than the count of today: on a busy machine a timer may keep time with the walks. The bound goes down when files
 * are folded, never up.
 */
const MOST_PIECES = 62;

/** Files through which a request is handed on, and functions that hand on a request and each token: the goals. */
const MOST_FILES = 45;
const MOST_DOWN = 40;
const MOST_TOKEN = 20;

const RUN = join(import.meta.dirname, "../../bench/journey/run.ts");

describe("the way of a streamed request", () => {
  it("is short", async () => {
    const { stdout } = await promisify(execFile)(process.execPath, [RUN, "--totals"]);
    const { files, pieces, handing } = JSON.parse(stdout) as Totals;
    const problems = [
      files > MOST_FILES ? `it is handed on through ${files} files, ${MOST_FILES} are the most` : "",
      pieces > MOST_PIECES
        ? `it calls ${pieces} files of gateway, worker, redis and backends, ${MOST_PIECES} are the most`
        : "",
      handing.down > MOST_DOWN
        ? `${handing.down} functions hand it on to the backend, ${MOST_DOWN} are the most`
        : "",
      handing.token > MOST_TOKEN
        ? `${handing.token} functions hand each token on to the client, ${MOST_TOKEN} are the most`
        : "",
    ];
    assert.deepEqual(
      problems.filter((problem) => problem !== ""),
      [],
    );
  });
});
