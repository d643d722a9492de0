/**
 * Secrets of API keys: `sg-`, 43 characters of 32 random bytes (base64url), and 6 characters of their CRC-32. The
 * checksum tells a mistyped or cut secret from an unknown one, and finds leaked ones in texts.
 */

const PREFIX = "sg-";
const RANDOM_CHARACTERS = 43;
const CHECK_CHARACTERS = 6;

/** Random bytes of a secret. */
export const SECRET_BYTES = 32;

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/** Makes a secret. @param random {@link SECRET_BYTES} bytes of a cryptographic source */
export function secretOf(random: Uint8Array): string {
  if (random.length !== SECRET_BYTES) throw new RangeError(`a secret needs ${SECRET_BYTES} random bytes`);
  const text = base64url(random);
  return `${PREFIX}${text}${checksumOf(text)}`;
}

/** True for a text that has the form of a secret, with the right checksum. Says nothing about whether it is valid. */
export function hasSecretForm(text: string): boolean {
  const body = text.slice(PREFIX.length, PREFIX.length + RANDOM_CHARACTERS);
  return /^sg-[\w-]{49}$/.test(text) && text.slice(-CHECK_CHARACTERS) === checksumOf(body);
}

/** The part of a secret that may be shown: its last four characters. */
export function hintOf(secret: string): string {
  return secret.slice(-4);
}

function base64url(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += 3) {
    const [a = 0, b, c] = bytes.subarray(at, at + 3);
    const bits = (a << 16) | ((b ?? 0) << 8) | (c ?? 0);
    const count = b === undefined ? 2 : c === undefined ? 3 : 4;
    for (let digit = 0; digit < count; digit += 1) text += ALPHABET[(bits >> (18 - 6 * digit)) & 63] ?? "";
  }
  return text;
}

/** CRC-32 (IEEE 802.3) of an ASCII text in six digits of base64url, the highest first. */
function checksumOf(text: string): string {
  let crc = 0xff_ff_ff_ff;
  for (const char of text) {
    crc ^= char.charCodeAt(0);
    for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ (crc & 1 ? 0xed_b8_83_20 : 0);
  }
  let rest = (crc ^ 0xff_ff_ff_ff) >>> 0;
  let digits = "";
  for (let digit = 0; digit < CHECK_CHARACTERS; digit += 1) {
    digits = `${ALPHABET[rest % 64] ?? ""}${digits}`;
    rest = Math.floor(rest / 64);
  }
  return digits;
}
