/** What `sgnet up` says when everything runs. */
export function banner(version: string, places: Readonly<Record<string, string>>): string {
  const lines = Object.entries(places).map(([name, place]) => `  ${name.padEnd(9)}${place}`);
  return `\nStargazer Network Gateway ${version}\n${lines.join("\n")}\n  Ctrl-C stops all of it.\n\n`;
}

/** Three commands that can be pasted into a shell as they are, or where a key is needed with that in a variable. */
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

/** As one word of a POSIX shell. */
function quote(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
