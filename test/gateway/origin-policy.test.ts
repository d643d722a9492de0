import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isSameOrigin, OriginPolicy } from "../../src/gateway/http/origin-policy.ts";

function policy(options: { origins?: string; listen?: string }): OriginPolicy {
  return new OriginPolicy({
    origins: options.origins ?? "",
    listen: options.listen ?? "127.0.0.1",
    own: ["MyBox", "203.0.113.9"],
  });
}

describe("origins", () => {
  const verdicts: readonly (readonly [origin: string, origins: string, allowed: boolean])[] = [
    ["http://localhost", "", true],
    ["http://localhost:3000", "", true],
    ["HTTPS://LocalHost:3000", "", true],
    ["http://127.0.0.1:8080", "", true],
    ["http://0.0.0.0:1", "", true],
    ["app://obsidian.md", "", true],
    ["file://", "", true],
    ["tauri://localhost", "", true],
    ["vscode-webview://1abc2", "", true],
    ["vscode-file://vscode-app", "", true],
    ["null", "", false],
    ["https://evil.example", "", false],
    ["http://localhost.evil.example", "", false],
    ["http://xlocalhost", "", false],
    ["xhttp://localhost", "", false],
    ["chrome-extension://abcdef", "", false],
    ["chrome-extension://abcdef", "chrome-extension://*", true],
    ["https://app.example.com", "https://app.example.com", true],
    ["http://app.example.com", "https://app.example.com", false],
    ["https://app.example.com:444", "https://app.example.com", false],
    ["https://appxexample.com", "https://app.example.com", false],
    ["https://a.example.com", "https://x.org, https://*.example.com", true],
    ["https://a.b.example.com", "https://*.example.com", true],
    ["https://example.com", "https://*.example.com", false],
    ["https://evil.org/.example.com", "https://*.example.com", false],
    ["https://ai.example.com", "https://ai.example.com:443", true],
    ["https://ai.example.com:443", "https://ai.example.com", true],
    ["http://ai.example.com", "http://ai.example.com:80/", true],
    ["http://ai.example.com:443", "http://ai.example.com", false],
    ["https://ai.example.com", "HTTPS://AI.Example.com./", true],
    ["https://ai.example.com.", "https://ai.example.com", true],
    ["https://ai.example.com:8443", "https://ai.example.com:*", true],
    ["https://ai.example.com:8443", "https://*.example.com:8443", true],
    ["https://ai.example.com", "https://*.example.com:8443", false],
    ["https://[2001:db8::1]:8443", "https://[2001:DB8:0:0::1]:8443", true],
    ["https://[2001:db8::1]", "https://[2001:db8::1]:8443", false],
    ["https://ai.example.com", "ai.example.com", false],
    ["https://evil.example", "*", true],
    ["null", "https://x.org,*", true],
  ];
  for (const [origin, origins, allowed] of verdicts) {
    it(`${origin} is ${allowed ? "allowed" : "forbidden"} with "${origins}"`, () => {
      assert.equal(policy({ origins }).allowsOrigin(origin), allowed);
    });
  }

  it("are the same only with the same host and port", () => {
    assert.ok(isSameOrigin("https://ai.example.com:3000", "ai.example.com:3000"));
    assert.ok(!isSameOrigin("https://ai.example.com", "ai.example.com:3000"));
    assert.ok(!isSameOrigin("https://ai.example.com:8443", "ai.example.com"));
    assert.ok(isSameOrigin("https://ai.example.com", "AI.example.com:443"));
    assert.ok(isSameOrigin("http://ai.example.com", "ai.example.com:80"));
    assert.ok(isSameOrigin("https://[2001:db8::1]", "[2001:DB8::1]:443"));
    assert.ok(!isSameOrigin("https://ai.example.com.evil.example", "ai.example.com"));
    assert.ok(!isSameOrigin("null", ""));
  });
});

describe("hosts", () => {
  const near = ["", "localhost", "localhost:3000", "LOCALHOST.", "127.0.0.1:3000", "127.9.9.9", "[::1]:3000"];
  const own = ["mybox:3000", "203.0.113.9", "10.1.2.3", "192.168.0.7:80", "172.16.0.1", "[fd00::1]:1"];
  const local = ["box.local", "app.localhost:3000", "host.docker.internal", "0.0.0.0:3000"];
  for (const host of [...near, ...own, ...local]) {
    it(`"${host}" is allowed`, () => assert.ok(policy({}).allowsHost(host)));
  }
  for (const host of [
    "evil.example",
    "evil.example:3000",
    "8.8.8.8",
    "local",
    "notlocalhost",
    "[2001:db8::1]",
  ]) {
    it(`"${host}" is forbidden on a loopback address only`, () => {
      for (const listen of ["127.0.0.1", "127.3.3.3", "localhost", "::1"])
        assert.ok(!policy({ listen }).allowsHost(host), listen);
      for (const listen of ["0.0.0.0", "::", "192.168.0.7", "mybox"])
        assert.ok(policy({ listen }).allowsHost(host), listen);
    });
  }
  it("from an allowed origin are allowed", () => {
    assert.ok(policy({ origins: "https://ai.example.com" }).allowsHost("ai.example.com"));
    assert.ok(!policy({ origins: "https://ai.example.com" }).allowsHost("evil.example"));
    assert.ok(policy({ origins: "*" }).allowsHost("evil.example"));
  });

  const listed: readonly (readonly [host: string, origins: string, allowed: boolean])[] = [
    ["ai.example.com", "https://ai.example.com:8443", true],
    ["ai.example.com:8443", "https://ai.example.com:8443", true],
    ["ai.example.com:443", "https://ai.example.com", true],
    ["ai.example.com:80", "http://ai.example.com", true],
    ["ai.example.com:3000", "https://ai.example.com", true],
    ["AI.Example.COM", "https://ai.example.com:8443", true],
    ["ai.example.com", "HTTPS://AI.EXAMPLE.COM:8443", true],
    ["ai.example.com.", "https://ai.example.com:8443", true],
    ["ai.example.com.:8443", "https://ai.example.com", true],
    ["ai.example.com", "https://ai.example.com./", true],
    ["ai.example.com", "https://x.org , https://ai.example.com:8443", true],
    ["[2001:db8::1]", "https://[2001:db8::1]:8443", true],
    ["[2001:DB8:0::1]:8443", "https://[2001:db8::1]", true],
    ["[2001:db8::2]", "https://[2001:db8::1]:8443", false],
    ["8.8.8.8:8443", "https://8.8.8.8", true],
    ["a.example.com", "https://*.example.com", true],
    ["a.example.com", "https://*.example.com:8443", true],
    ["a.b.example.com:1", "https://*.example.com:8443", true],
    ["ai.example.com", "https://ai.example.com:*", true],
    ["evil.example", "https://*:8443", true],
    ["evil.example", "https://*", true],
    ["example.com", "https://*.example.com", false],
    ["a.example.com.evil.example", "https://*.example.com:8443", false],
    ["ai.example.com.evil.example", "https://ai.example.com", false],
    ["evil.example:ai.example.com", "https://ai.example.com", false],
    ["xai.example.com", "https://ai.example.com:8443", false],
    ["8443", "https://ai.example.com:8443", false],
    ["evil.example", "chrome-extension://*", false],
    ["evil.example", "app://evil.example", false],
    ["evil.example", "null", false],
    ["evil.example", "https://", false],
  ];
  for (const [host, origins, allowed] of listed) {
    it(`"${host}" is ${allowed ? "allowed" : "forbidden"} with "${origins}"`, () => {
      assert.equal(policy({ origins }).allowsHost(host), allowed);
    });
  }
});
