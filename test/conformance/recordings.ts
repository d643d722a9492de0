import { loadTranscript, type Transcript, transcriptNames } from "../rig/transcript.ts";

/** The servers that were recorded, and the fixtures folders with their exchanges. */
const FOLDERS = {
  ollama: [
    "ollama",
    "ollama-management",
    "ollama-server",
    "openai",
    "completions",
    "embeddings",
    "responses",
    "anthropic",
  ],
  llamacpp: ["llamacpp", "llamacpp-server", "embeddings", "responses", "anthropic"],
} as const;

export type Server = keyof typeof FOLDERS;

/** llama.cpp's exchanges in the folders that both servers share. */
const SHARED_LLAMACPP = /^0[5-8]\d-/;

/** Every recorded exchange with a server, in the order they were recorded. */
export function recordings(server: Server): readonly Transcript[] {
  const found = FOLDERS[server].flatMap((folder) =>
    transcriptNames(folder)
      .filter((name) => !isShared(folder) || SHARED_LLAMACPP.test(name) === (server === "llamacpp"))
      .map((name) => loadTranscript(folder, name)),
  );
  return found.toSorted((a, b) => a.name.localeCompare(b.name));
}

function isShared(folder: string): boolean {
  return ["embeddings", "responses", "anthropic"].includes(folder);
}

/** One exchange by the start of its name. */
export function recording(server: Server, start: string): Transcript {
  const [found, more] = recordings(server).filter(({ name }) => name.startsWith(start));
  if (found === undefined || more !== undefined) throw new Error(`no or no single ${server} ${start}`);
  return found;
}

/** The ends of the requests that the recording cut short, with the text they repeat. */
const TAILS: Readonly<Record<string, string>> = {
  "090": '", "stream": false}',
  "091": '"}',
  "252": '"}',
  "313": '", "truncate": false}',
  "314": '", "dimensions": 2}',
  "030": '"}]}',
  "031": '"}], "stream": true}',
  "085": '"}',
};

/** A request as it was sent. Fill replaces the part that the recording cut, at the same length. */
export function requestOf(transcript: Transcript): string {
  const cut = /^(.*)\.\.\.\[(\d+) bytes total\]$/s.exec(transcript.request);
  if (cut === null) return transcript.request;
  const [, head = "", total = "0"] = cut;
  const tail = TAILS[transcript.name.slice(0, 3)] ?? '"}';
  const rest = Number(total) - head.length - tail.length;
  const filler = head.endsWith("xxxx") ? "x" : "word ";
  return head + filler.repeat(rest).slice(0, rest) + tail;
}
