/** What `sgnet up` says when everything runs. */
export function banner(version: string, places: Readonly<Record<string, string>>): string {
  const lines = Object.entries(places).map(([name, place]) => `  ${name.padEnd(9)}${place}`);
  return `\nStargazer Network Gateway ${version}\n${lines.join("\n")}\n  Ctrl-C stops all of it.\n\n`;
}

/** Three commands that can be pasted into a shell as they are. */
export function examples(url: string, model: string): string {
  const messages = [{ role: "user", content: "Why is the sky blue?" }];
  const chat = quote(JSON.stringify({ model, messages }));
  return `Try it:

  curl ${url}/api/chat -d ${chat}

  curl ${url}/v1/chat/completions -H 'content-type: application/json' -d ${chat}

  curl ${url}/v1/models

`;
}

/** As one word of a POSIX shell. */
function quote(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
