import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { SETTINGS } from "./settings.ts";
import type { Setting, TextSetting } from "./setting.ts";

/** Files with the values of secret settings, as containers and service managers hand them over. */

/** The names of a setting whose value is the path of a file with the value of another one. */
export interface SecretFile {
  /** Environment variable and `.env` name. */
  readonly env: string;
  /** Command line flag without dashes. */
  readonly flag: string;
}

/** Largest file that is read (bytes). */
const MOST_BYTES = 1024 * 1024;

/** The file of a setting; undefined for one that is no secret, or that has a file setting of its own. */
export function secretFileOf({
  env,
  flag,
  secret,
}: Pick<Setting, "env" | "flag" | "secret">): SecretFile | undefined {
  const file = { env: `${env}_FILE`, flag: `${flag}-file` };
  const hasOwn = Object.values(SETTINGS).some((other: Setting) => other.env === file.env);
  return secret !== true || hasOwn ? undefined : file;
}

/** All secret settings that can come from a file. */
export function secretFiles(): readonly SecretFile[] {
  return Object.values(SETTINGS).flatMap((setting: Setting) => secretFileOf(setting) ?? []);
}

/** A value, or its problem: the rest of a sentence that begins with the name of the setting. Neither repeats a secret. */
export type SecretReading =
  | { readonly value: string; readonly problem?: undefined }
  | { readonly problem: string };

/**
 * Reads the value of a setting from its file, once. One line break at the end is cut. A list may have one item per line.
 * @param given the path; more than one is a problem
 * @param cwd base of a relative path
 */
export function readSecretFile(setting: TextSetting, given: unknown, cwd: string): SecretReading {
  if (Array.isArray(given)) return { problem: "is given more than once" };
  const path = resolve(cwd, String(given).trim());
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    return { problem: `names the file ${path}, which cannot be read (${codeOf(error)})` };
  }
  if (bytes.length > MOST_BYTES)
    return { problem: `names the file ${path}, which has more than ${MOST_BYTES} bytes` };
  const text = bytes.toString().replace(/\r?\n$/, "");
  if (text.trim() === "") return { problem: `names the file ${path}, which is empty` };
  return { value: setting.list === true ? commaList(text) : text };
}

function commaList(text: string): string {
  return text
    .split(/[\r\n]+/)
    .map((line) => line.trim().replace(/,$/, ""))
    .filter((line) => line !== "")
    .join(",");
}

/** The code of an error of the file system. Its message may quote more than the path. */
function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "unknown error";
}
