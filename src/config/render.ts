import { SETTINGS } from "./settings.ts";
import type { Setting } from "./setting.ts";

/** What a setting is, in one line: the sentence, then unit, range and default. */
export function describeSetting(setting: Setting): string {
  return `${setting.doc} ${facts(setting)}`;
}

/** The text of `.env.example`. */
export function renderEnvExample(): string {
  const head =
    "# Settings of Stargazer Network Gateway. A command line flag and an environment variable win over this file.\n";
  const entries = Object.values(SETTINGS).map(
    (setting: Setting) => `# ${describeSetting(setting)}\n#${setting.env}=${setting.default}\n`,
  );
  return [head, ...entries].join("\n");
}

/** The text of docs/settings.md. */
export function renderSettingsDoc(): string {
  const entries = Object.values(SETTINGS).map(
    (setting: Setting) => `### \`${setting.env}\`, \`--${setting.flag}\`\n\n${describeSetting(setting)}\n`,
  );
  return [DOC_HEAD, ...entries].join("\n");
}

const DOC_HEAD = `# Settings

Every setting is a command line flag, an environment variable, and a line in the file \`.env\` of the working directory; the first of these that is there wins, and else the default. A wrong value stops the command with a sentence that says what is wrong. This page is made from the table of settings in \`src/config/settings.ts\`.
`;

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
