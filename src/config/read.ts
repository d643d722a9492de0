import { keyListProblem } from "./key-list.ts";
import type { FlagSetting, NumberSetting, Setting, TextSetting } from "./setting.ts";

export type SettingValue = string | number | boolean;

/** A value, or its problem: the rest of a sentence that begins with the name of the setting. */
export type SettingReading =
  | { readonly value: SettingValue; readonly problem?: undefined }
  | { readonly problem: string };

/** Checks one value from outside. The problem never repeats a secret. */
export function readSetting(setting: Setting, given: unknown): SettingReading {
  if (Array.isArray(given)) return { problem: "is given more than once" };
  const text = String(given).trim();
  switch (setting.type) {
    case "text":
      return setting.keys === true ? readKeys(String(given)) : readText(setting, text);
    case "number":
      return readNumber(setting, text);
    case "flag":
      return readFlag(setting, text);
  }
}

/** A text of blanks is an error: it is neither a list nor an empty setting. */
function readKeys(text: string): SettingReading {
  const problem = text === "" ? undefined : keyListProblem(text);
  return problem === undefined ? { value: text.trim() } : { problem };
}

function readText(setting: TextSetting, text: string): SettingReading {
  const { choices, form } = setting;
  if (choices !== undefined && !choices.includes(text))
    return { problem: `must be one of ${choices.join(", ")}${not(setting, text)}` };
  if (form !== undefined && text !== setting.default && !form.pattern.test(text))
    return { problem: `must be ${form.says}${not(setting, text)}` };
  return { value: text };
}

function readNumber(setting: NumberSetting, text: string): SettingReading {
  const value = Number(text.replaceAll("_", ""));
  const whole = /^-?\d[\d_]*$/.test(text) && Number.isSafeInteger(value);
  if (whole && value >= setting.min && value <= setting.max) return { value };
  return { problem: `must be a whole number from ${setting.min} to ${setting.max}${not(setting, text)}` };
}

function readFlag(setting: FlagSetting, text: string): SettingReading {
  if (["true", "1", "yes", "on"].includes(text.toLowerCase())) return { value: true };
  if (["false", "0", "no", "off"].includes(text.toLowerCase())) return { value: false };
  return { problem: `must be true or false${not(setting, text)}` };
}

function not(setting: Setting, text: string): string {
  return setting.secret === true ? "" : `, not ${JSON.stringify(text)}`;
}
