import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { checkKeys } from "../../src/commands/doctor-gateways.ts";
import { Keyring } from "../../src/gateway/http/keyring.ts";
import { warnIfUnguarded } from "../../src/gateway/http/guard.ts";

function warnings(host: string, apiKeys: string): string[] {
  const told: string[] = [];
  warnIfUnguarded({ host, apiKeys }, { warn: (message) => told.push(message) });
  assert.equal(checkKeys({ host, apiKeys }).length, told.length);
  return told;
}

describe("a gateway without keys", () => {
  it("warns, and the doctor does, when others than this machine reach it", () => {
    for (const host of ["0.0.0.0", "::", "10.0.0.7", "gpu-1", "192.168.1.2"]) {
      const [warning = "", ...more] = warnings(host, "");
      assert.match(warning, /no key is set/);
      assert.ok(warning.includes(host) && warning.includes("SGNET_API_KEY"));
      assert.deepEqual(more, []);
      assert.deepEqual(warnings(host, "k"), []);
    }
  });

  it("is silent on an address of this machine", () => {
    for (const host of ["127.0.0.1", "localhost", "::1", "127.8.8.8"])
      assert.deepEqual(warnings(host, ""), []);
  });

  it("lets no client in when it was given a list that names no key", () => {
    const nothing = { authorization: "", apiKey: "" };
    assert.equal(new Keyring({ apiKeys: "", adminKeys: "" }).isClient(nothing), true);
    for (const apiKeys of [",", " ", " , "]) {
      const keyring = new Keyring({ apiKeys, adminKeys: "a" });
      assert.equal(keyring.isClient(nothing), false);
      assert.equal(keyring.isClient({ authorization: "Bearer ", apiKey: " " }), false);
      assert.equal(keyring.isClient({ authorization: "Bearer a", apiKey: "" }), true);
    }
  });
});
