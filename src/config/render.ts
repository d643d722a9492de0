import { secretFileOf } from "./secret-files.ts";
import { SETTINGS } from "./settings.ts";
import type { Setting } from "./setting.ts";

/** The description of a setting in one line: its text, then unit, range and default. */
export function describeSetting(setting: Setting): string {
  return `${setting.doc} ${facts(setting)}`;
}

/** The text of `.env.example`. */
export function renderEnvExample(): string {
  const head =
    "# Settings of Stargazer Network Gateway. A command line flag and an environment variable win over this file.\n";
  const entries = Object.values(SETTINGS).map(
    (setting: Setting) =>
      `# ${describeSetting(setting)}\n#${setting.env}=${setting.default}\n${fileLine(setting)}`,
  );
  return [head, ...entries].join("\n");
}

/** The text of docs/settings.md. */
export function renderSettingsDoc(): string {
  const entries = Object.values(SETTINGS).map(
    (setting: Setting) =>
      `### \`${setting.env}\`, \`--${setting.flag}\`\n\n${describeSetting(setting)}${fileWords(setting)}\n`,
  );
  return [DOC_HEAD, ...entries].join("\n");
}

const DOC_HEAD = `# Settings

Each setting can be a command line flag, an environment variable, or a line in \`.env\`. The file \`.env\` is in the working directory. The first of these wins; without any, the default applies. A wrong value stops the command with a sentence that names the problem. A secret can come from a file, as containers and service managers hand them over: the setting with \`_FILE\` or \`-file\` at the end of its name has the path. Both at once, in one source, are an error. The file is read once, at the start. One line break at its end is cut, and a list may have one item per line. An empty file is an error. Secrets on a command line stand in the process list, so prefer a file. This page is generated from the table in \`src/config/settings.ts\`.
`;

/** The description of the file of a setting in one line. */
export function describeFile(setting: Pick<Setting, "env">): string {
  return `File with the value of ${setting.env}.`;
}

/** The line of a secret setting's file in `.env.example`. */
function fileLine(setting: Setting): string {
  const file = secretFileOf(setting);
  return file === undefined ? "" : `#${file.env}=\n`;
}

function fileWords(setting: Setting): string {
  const file = secretFileOf(setting);
  return file === undefined ? "" : ` From a file: \`${file.env}\`, \`--${file.flag}\`.`;
}

function facts(setting: Setting): string {
  switch (setting.type) {
    case "text": {
      const choices = setting.choices === undefined ? "" : `One of ${setting.choices.join(", ")}. `;
      return `${choices}Default: ${setting.default === "" ? "empty" : setting.default}.`;
    }
    case "number":
      return `From ${setting.min} to ${setting.max}${unit(setting.unit)}. Default: ${setting.default}.`;
    case "flag":
      return `true or false. Default: ${setting.default}.`;
  }
}

function unit(name: string | undefined): string {
  return name === undefined ? "" : ` ${name}`;
}
