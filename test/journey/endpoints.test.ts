import { Asked, assertAnswered, WAYS } from "../rig/fleet/asked.ts";
import { journey } from "../rig/fleet/fleet.ts";

for (const speaks of ["ollama", "openai"] as const) {
  journey(
    `both client libraries are answered by a backend that speaks ${speaks}`,
    { posts: [{ speaks }] },
    async (fleet, t) => {
      for (const way of WAYS) {
        for (const stream of [true, false]) {
          await t.test(`${way}, ${stream ? "stream" : "whole"}`, async () => {
            const asked = new Asked(fleet.gateway, { way, stream, tokens: 23 });
            await asked.done;
            assertAnswered(asked);
            await fleet.settled();
          });
        }
      }
    },
  );
}
