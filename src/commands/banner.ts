/** The text that `sgnet up` prints when everything runs. */
export function banner(version: string, places: Readonly<Record<string, string>>): string {
  const lines = Object.entries(places).map(([name, place]) => `  ${name.padEnd(9)}${place}`);
  return `\nStargazer Network Gateway ${version}\n${lines.join("\n")}\n  Ctrl-C stops everything.\n\n`;
}

/** Three commands to paste into a shell. A needed key comes from a variable. */
export function examples(url: string, model: string, needsKey = false): string {
  const messages = [{ role: "user", content: "Why is the sky blue?" }];
  const chat = quote(JSON.stringify({ model, messages }));
  const key = needsKey ? ' -H "authorization: Bearer $SGNET_API_KEY"' : "";
  return `Try it${needsKey ? ", with one of your keys in SGNET_API_KEY" : ""}:

  curl ${url}/api/chat${key} -d ${chat}

  curl ${url}/v1/chat/completions${key} -H 'content-type: application/json' -d ${chat}

  curl ${url}/v1/models${key}

`;
}

/** The text as one word of a POSIX shell. */
function quote(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
