import type { ModelScript } from "../rig/backends/scripted-model.ts";

/** Where a client runs: all of it is removed afterwards. */
export interface Place {
  /** Its home, its project with `note.txt` in it, and the gateway. */
  readonly home: string;
  readonly project: string;
  readonly url: string;
  /** The folder of its npm package. */
  readonly package: string;
  readonly model: string;
}

export interface Run {
  /** Below the package's `node_modules/.bin`, or a file that Node runs. */
  readonly command: string;
  readonly args: readonly string[];
  /** The arguments of further runs, one after another. */
  readonly further?: readonly (readonly string[])[];
  readonly env?: Readonly<Record<string, string>>;
  /** Files it finds, by their paths below its home. */
  readonly files?: Readonly<Record<string, string>>;
}

/** A client as people run it, without a person: with its own settings for no telemetry and no updates. */
export interface AgentClient {
  readonly name: string;
  readonly package: string;
  /** Where it sends its requests. */
  readonly path: string;
  readonly script: (place: Place) => ModelScript;
  readonly run: (place: Place) => Run;
}

export const NOTE = "the first line of the note";
export const ANSWER = "All is done as you asked.";
export const TASK = "Read the file note.txt and say what it says.";
