import assert from "node:assert/strict";
import { allDone, askAll, assertAnswered, assertBrokenOff, assertRefused, WAYS } from "../rig/fleet/asked.ts";
import { journey } from "../rig/fleet/fleet.ts";
import { until } from "../rig/until.ts";

journey("a backend that goes away before the first token: another one answers", {}, async (fleet) => {
  const first = fleet.post(0).standIn;
  first.behaviour.firstTokenMs = 600_000;
  const asked = [
    ...askAll(fleet.gateway, WAYS, { stream: true, tokens: 20 }),
    ...askAll(fleet.gateway, WAYS, { stream: false, tokens: 20 }),
  ];
  await first.waitFor("request", asked.length);
  const second = await fleet.addPost();
  await first.stop();
  await allDone(asked);
  for (const one of asked) assertAnswered(one);
  assert.equal(second.standIn.requests.length, asked.length);
});

for (const speaks of ["ollama", "openai"] as const) {
  journey(
    `a backend that speaks ${speaks} and dies in the middle of an answer`,
    { posts: [{ speaks }] },
    async (fleet) => {
      const { standIn } = fleet.post();
      Object.assign(standIn.behaviour, { tokenMs: 5, dieAfter: 7 });
      const streams = askAll(fleet.gateway, WAYS, { stream: true, tokens: 20 });
      await allDone(streams);
      for (const one of streams) assertBrokenOff(one);
      assert.deepEqual(
        streams.map((one) => one.tokens),
        [7, 7, 7],
      );
      const whole = askAll(fleet.gateway, WAYS, { stream: false, tokens: 20 });
      await allDone(whole);
      for (const one of whole) assertRefused(one, 502);
      standIn.behaviour.dieAfter = undefined;
      const later = askAll(fleet.gateway, WAYS, { stream: true, tokens: 20 });
      await allDone(later);
      for (const one of later) assertAnswered(one);
    },
  );

  journey(
    `what a backend that speaks ${speaks} refuses is told in the client's dialect`,
    // A shut gate lets one task through at a time: its wait is not to look like a stream that has begun.
    { posts: [{ speaks }], env: { SGNET_BUSY_LIMIT: "1", SGNET_HEARTBEAT_MS: "0" } },
    async (fleet, t) => {
      const { standIn } = fleet.post();
      for (const status of [400, 403, 404, 500, 503]) {
        await t.test(`status ${status}`, async () => {
          const message = `no, says the backend with ${status}`;
          standIn.behaviour.refuse = { status, message };
          const asked = [true, false].flatMap((stream) =>
            askAll(fleet.gateway, WAYS, { stream, tokens: 20 }),
          );
          await allDone(asked);
          for (const one of asked) {
            // A key that the backend refuses is the operator's, and none of the client's.
            assertRefused(one, status === 403 ? 502 : status);
            assert.match(String(one.error), new RegExp(message));
          }
          standIn.behaviour.refuse = undefined;
          await until("an answer", async () => {
            const [next] = askAll(fleet.gateway, ["openai-chat"], { stream: true, tokens: 3 });
            await next?.done;
            return next?.error === undefined;
          });
        });
      }
    },
  );
}

journey(
  "what a backend fails with just after a start of Redis is answered by another, long before leases are believed",
  // One and a half of these is longer than the test may take.
  { env: { SGNET_LEASE_MS: "600000" } },
  async (fleet) => {
    const first = fleet.post(0).standIn;
    first.behaviour.firstTokenMs = 60_000;
    const asked = askAll(fleet.gateway, WAYS, { stream: true, tokens: 20 });
    await first.waitFor("request", asked.length);
    const second = await fleet.addPost();
    await first.stop();
    await allDone(asked);
    for (const one of asked) assertAnswered(one);
    assert.equal(second.standIn.requests.length, asked.length);
  },
);
