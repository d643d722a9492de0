import { createHash, randomBytes, randomInt } from "node:crypto";
import type { KeyRecord } from "../../core/access/key-record.ts";
import { hintOf, SECRET_BYTES, secretOf } from "../../core/access/key-secret.ts";

/** The members of a key record that follow from its secret. */
export function secretFacts(secret: string): Pick<KeyRecord, "digest" | "hint"> {
  return { digest: createHash("sha256").update(secret).digest("hex"), hint: hintOf(secret) };
}

/** A secret of 256 random bits. */
export function newSecret(): string {
  return secretOf(randomBytes(SECRET_BYTES));
}

const ID_CHARACTERS = "abcdefghijklmnopqrstuvwxyz0123456789";

/** An id for a new key. */
export function newKeyId(): string {
  return `k${Array.from({ length: 10 }, () => ID_CHARACTERS[randomInt(ID_CHARACTERS.length)] ?? "").join("")}`;
}
