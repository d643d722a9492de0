/** Watches a Node process through its inspector: which functions it calls, and through which of them it hands on. */
import { once } from "node:events";

/** Times that each function was called, by file and then by name. */
export type Calls = ReadonlyMap<string, ReadonlyMap<string, number>>;

/** A function of a file: `worker/runner.ts: #serve`. */
export type FunctionName = string;

interface CoveredScript {
  readonly scriptId: string;
  readonly url: string;
  readonly functions: readonly {
    readonly functionName: string;
    readonly ranges: readonly { readonly startOffset: number; readonly count: number }[];
  }[];
}

/** A frame of a running stack names its script by `location`, one of an async stack by `url`. */
interface Frame {
  readonly functionName: string;
  readonly url: string;
  readonly location?: { readonly scriptId: string };
}

interface AsyncStack {
  readonly callFrames: readonly Frame[];
  readonly parent?: AsyncStack;
}

interface Paused {
  readonly callFrames: readonly Frame[];
  readonly asyncStackTrace?: AsyncStack;
}

interface Message {
  readonly id?: number;
  readonly result?: unknown;
  readonly method?: string;
  readonly params?: unknown;
}

/** Steps back over `await`, timers and callbacks: a request crosses some ten of them. */
const ASYNC_DEPTH = 64;

/** Bytes leave a process through these, to Redis and to backends. */
const SOCKET_WRITE = `process.getBuiltinModule("node:stream").Writable.prototype.write`;

/** The inspector of one process. Precise coverage switches V8's inlining off: each call is counted. */
export class Inspector {
  readonly #socket: WebSocket;
  readonly #folder: string;
  readonly #replies = new Map<number, (result: unknown) => void>();
  /** Functions on the stack of a write to a socket, or of a call into the HTTP front end. */
  readonly #stacks = { socket: new Set<FunctionName>(), port: new Set<FunctionName>() };
  /** URLs of all scripts, by id. */
  readonly #urls = new Map<string, string>();
  /** Functions called so far, by script and then by where they begin: a count of V8 has the latest calls only. */
  readonly #called = new Map<string, { readonly url: string; readonly starts: Set<number> }>();
  #lastId = 0;

  private constructor(socket: WebSocket, folder: string) {
    this.#socket = socket;
    this.#folder = folder;
    socket.addEventListener("message", ({ data }) => {
      this.#onMessage(JSON.parse(String(data)) as Message);
    });
  }

  /**
   * Connects to the inspector and begins to count.
   * @param port the inspector's, on loopback
   * @param folder URL of the folder whose files count, with a slash at its end
   * @returns undefined while the process does not listen yet
   */
  static async open(port: number, folder: string): Promise<Inspector | undefined> {
    const url = await debuggerUrl(port);
    if (url === undefined) return undefined;
    const socket = new WebSocket(url);
    await once(socket, "open");
    const inspector = new Inspector(socket, folder);
    await inspector.#call("Profiler.enable");
    await inspector.#call("Profiler.startPreciseCoverage", { callCount: true, detailed: false });
    return inspector;
  }

  /** Returns what was called since the last time, and begins to count anew. */
  async takeCalls(): Promise<Calls> {
    const own = await this.#coverage();
    return new Map(own.map(({ url, functions }) => [url.slice(this.#folder.length), callsOf(functions)]));
  }

  /**
   * Returns the functions that stood on the stack when bytes were handed on since the last time.
   * @param toClient false: only when they went to a socket, for steps that call the front end and hand nothing to it
   */
  takeStacks(toClient: boolean): ReadonlySet<FunctionName> {
    const { socket, port } = this.#stacks;
    const stacks = toClient ? socket.union(port) : new Set(socket);
    socket.clear();
    port.clear();
    return stacks;
  }

  /**
   * Stops the process from now on for an instant at each hand-over, to read its stack.
   * @param ports files whose functions hand bytes to what is no socket of Node: the HTTP front end
   */
  async watchHandOvers(ports: RegExp): Promise<void> {
    await this.#call("Debugger.enable");
    await this.#call("Debugger.setAsyncCallStackDepth", { maxDepth: ASYNC_DEPTH });
    const { result } = (await this.#call("Runtime.evaluate", { expression: SOCKET_WRITE })) as {
      readonly result: { readonly objectId: string };
    };
    await this.#call("Debugger.setBreakpointOnFunctionCall", { objectId: result.objectId });
    for (const [scriptId, { url, starts }] of this.#called) {
      if (ports.test(url.slice(this.#folder.length))) await this.#breakAtFunctions(scriptId, starts);
    }
  }

  close(): void {
    this.#socket.close();
  }

  async #breakAtFunctions(scriptId: string, starts: ReadonlySet<number>): Promise<void> {
    const { scriptSource } = (await this.#call("Debugger.getScriptSource", { scriptId })) as {
      readonly scriptSource: string;
    };
    for (const start of starts) {
      const body = scriptSource.indexOf("{\n", start);
      if (body === -1) continue;
      const before = scriptSource.slice(0, body + 2).split("\n");
      const location = { scriptId, lineNumber: before.length - 1, columnNumber: 0 };
      await this.#call("Debugger.setBreakpoint", { location });
    }
  }

  async #coverage(): Promise<readonly CoveredScript[]> {
    const { result } = (await this.#call("Profiler.takePreciseCoverage")) as {
      readonly result: readonly CoveredScript[];
    };
    const own = result.filter(({ url }) => url.startsWith(this.#folder));
    for (const script of own) this.#note(script);
    return own;
  }

  #note({ scriptId, url, functions }: CoveredScript): void {
    const known = this.#called.get(scriptId) ?? { url, starts: new Set() };
    this.#called.set(scriptId, known);
    for (const { functionName, ranges } of functions) {
      const [range] = ranges;
      if (functionName !== "" && range !== undefined && range.count > 0) known.starts.add(range.startOffset);
    }
  }

  async #call(method: string, params: object = {}): Promise<unknown> {
    this.#lastId += 1;
    const id = this.#lastId;
    return await new Promise((resolve) => {
      this.#replies.set(id, resolve);
      this.#socket.send(JSON.stringify({ id, method, params }));
    });
  }

  #onMessage({ id, result, method, params }: Message): void {
    if (id !== undefined) {
      this.#replies.get(id)?.(result);
      this.#replies.delete(id);
    } else if (method === "Debugger.scriptParsed") {
      const { scriptId, url } = params as { readonly scriptId: string; readonly url: string };
      this.#urls.set(scriptId, url);
    } else if (method === "Debugger.paused") {
      this.#keep(params as Paused);
      void this.#call("Debugger.resume");
    }
  }

  #keep({ callFrames, asyncStackTrace }: Paused): void {
    const frames = [...callFrames];
    for (let stack = asyncStackTrace; stack !== undefined; stack = stack.parent)
      frames.push(...stack.callFrames);
    const stopped = this.#urlOf(callFrames[0]);
    const stacks = stopped.startsWith(this.#folder) ? this.#stacks.port : this.#stacks.socket;
    for (const frame of frames) {
      const url = this.#urlOf(frame);
      const name = frame.functionName.replace(/^.*\./, "").replace(/^async /, "");
      if (url.startsWith(this.#folder) && name !== "")
        stacks.add(`${url.slice(this.#folder.length)}: ${name}`);
    }
  }

  #urlOf(frame: Frame | undefined): string {
    const scriptId = frame?.location?.scriptId;
    return (scriptId === undefined ? frame?.url : this.#urls.get(scriptId)) ?? "";
  }
}

async function debuggerUrl(port: number): Promise<string | undefined> {
  try {
    const response = await fetch(`http://127.0.0.1:${port}/json/list`);
    const [target] = (await response.json()) as readonly { readonly webSocketDebuggerUrl: string }[];
    return target?.webSocketDebuggerUrl;
  } catch {
    return undefined;
  }
}

/** Functions without a name are part of the function that they stand in. */
function callsOf(functions: CoveredScript["functions"]): ReadonlyMap<string, number> {
  const calls = new Map<string, number>();
  for (const { functionName, ranges } of functions) {
    const count = ranges[0]?.count ?? 0;
    if (functionName === "" || functionName.startsWith("<") || count === 0) continue;
    calls.set(functionName, Math.max(count, calls.get(functionName) ?? 0));
  }
  return calls;
}
