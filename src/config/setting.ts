interface SettingBase {
  /** Environment variable and `.env` name. */
  readonly env: string;
  /** Command line flag without dashes. */
  readonly flag: string;
  /** One sentence; ends with what special values mean, if any. */
  readonly doc: string;
  /** Shown in no log and no status. */
  readonly secret?: boolean;
}

export interface TextSetting extends SettingBase {
  readonly type: "text";
  readonly default: string;
  readonly choices?: readonly string[];
  /** A comma list of keys: text that holds none is refused, for it would let everyone in. */
  readonly keys?: true;
  /** What a value other than the default must look like; `says` completes "must be …". */
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
