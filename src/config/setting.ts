interface SettingBase {
  /** Environment variable and `.env` name. */
  readonly env: string;
  /** Command line flag without dashes. */
  readonly flag: string;
  /** Description for users. It ends with the meaning of special values, if any. */
  readonly doc: string;
  /** True: the value is never shown, neither in logs nor in the status. */
  readonly secret?: boolean;
}

export interface TextSetting extends SettingBase {
  readonly type: "text";
  readonly default: string;
  readonly choices?: readonly string[];
  /** True for a comma list. In a file it may have one item per line. */
  readonly list?: true;
  /** True for a comma list of keys. A text without any key is refused, since it would allow everyone. */
  readonly keys?: true;
  /** Form of values other than the default; `says` completes "must be …". */
  readonly form?: { readonly pattern: Pick<RegExp, "test">; readonly says: string };
}

export interface NumberSetting extends SettingBase {
  readonly type: "number";
  readonly default: number;
  readonly min: number;
  readonly max: number;
  readonly unit?: "ms" | "s" | "bytes" | "tasks";
}

export interface FlagSetting extends SettingBase {
  readonly type: "flag";
  readonly default: boolean;
}

export type Setting = TextSetting | NumberSetting | FlagSetting;
