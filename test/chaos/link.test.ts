import assert from "node:assert/strict";
import { connect } from "node:net";
import { once } from "node:events";
import test from "node:test";
import { until } from "../rig/until.ts";
import { LocalTcp } from "../rig/local-tcp.ts";
import { Link } from "./link.ts";

const PIECES = 300;

test("bytes keep their order while a link becomes slow and quick again, and stop while it is stalled", async () => {
  let heard = "";
  const server = new LocalTcp((socket) => {
    socket.on("data", (chunk: Buffer) => (heard += chunk.toString()));
  });
  await server.listen();
  const link = await Link.open(() => server.port);
  const client = connect({ port: link.port, host: "127.0.0.1", noDelay: true });
  await once(client, "connect");
  const sent = Array.from({ length: PIECES }, (_, index) => `${index};`);
  for (const [index, piece] of sent.entries()) {
    if (index % 50 === 10) link.slow(20);
    if (index % 50 === 40) link.mend();
    if (index === 100) link.stall();
    if (index === 200) link.mend();
    client.write(piece);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await until("all pieces", () => heard.length >= sent.join("").length);
  assert.equal(heard, sent.join(""));
  const hungUp = once(client, "close");
  link.cut();
  await hungUp;
  await link.close();
  await server.stop();
});
