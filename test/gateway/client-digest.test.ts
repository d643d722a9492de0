import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ClientDigests, networkOf } from "../../src/gateway/http/keyring.ts";

function asker(remote: string, key = ""): Parameters<ClientDigests["of"]>[0] {
  return { headers: { authorization: key === "" ? "" : `Bearer ${key}`, apiKey: "" }, remote };
}

describe("the digest of a client", () => {
  it("is short, tells addresses apart, and is the same at every gateway", () => {
    const [one, other] = [new ClientDigests("", "0.0.0.0"), new ClientDigests("", "0.0.0.0")];
    const digest = one.of(asker("10.0.0.1"));
    assert.match(digest ?? "", /^[0-9a-f]{6}$/);
    assert.equal(other.of(asker("10.0.0.1")), digest);
    assert.notEqual(one.of(asker("10.0.0.2")), digest);
    assert.equal(one.of(asker("")), undefined);
  });

  it("is that of the address where keys tell nothing: no client becomes two by keys of its own", () => {
    for (const keys of ["", "shared"]) {
      const digests = new ClientDigests(keys, "0.0.0.0");
      assert.equal(digests.of(asker("10.0.0.1", "shared")), digests.of(asker("10.0.0.1", "invented")));
      assert.notEqual(digests.of(asker("10.0.0.1", "shared")), digests.of(asker("10.0.0.2", "shared")));
    }
  });

  it("is that of the key where there are several", () => {
    const digests = new ClientDigests("one, two", "127.0.0.1");
    assert.equal(digests.of(asker("10.0.0.1", "one")), digests.of(asker("10.0.0.2", "one")));
    assert.notEqual(digests.of(asker("10.0.0.1", "one")), digests.of(asker("10.0.0.1", "two")));
  });

  it("takes a network of 64 bits for one client, and an IPv4 address in IPv6 for itself", () => {
    assert.equal(networkOf("2001:db8:1:2:3:4:5:6"), networkOf("2001:0db8:0001:0002::9"));
    assert.notEqual(networkOf("2001:db8:1:2::1"), networkOf("2001:db8:1:3::1"));
    assert.equal(networkOf("::ffff:10.0.0.1"), "10.0.0.1");
    assert.equal(networkOf("0000:0000:0000:0000:0000:ffff:0a00:0001"), "10.0.0.1");
    assert.equal(networkOf("::1"), networkOf("0:0:0:0:0:0:0:1"));
    assert.equal(networkOf("no address"), "");
  });
});
