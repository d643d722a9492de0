import { connect, type Socket } from "node:net";
import { LocalTcp } from "../rig/local-tcp.ts";

/** Where a connection is cut: before what it carries has arrived, or after, when nothing of the answer has come. */
export type CutAt = "request" | "reply";

/** A way to a server on loopback that breaks once, at the piece that carries a certain text. */
export class CuttingLink {
  readonly #server: LocalTcp;
  readonly #port: number;
  #cut: { readonly text: string; readonly at: CutAt } | undefined;
  #unanswered: (() => void) | undefined;
  cuts = 0;

  private constructor(port: number) {
    this.#port = port;
    this.#server = new LocalTcp((near) => this.#accept(near));
  }

  /** @param port on 127.0.0.1 to forward to */
  static async open(port: number): Promise<CuttingLink> {
    const link = new CuttingLink(port);
    await link.#server.listen();
    return link;
  }

  get port(): number {
    return this.#server.port;
  }

  /** The next connection that carries `text` breaks: at once, or at {@link cutUnanswered}. */
  cutOnce(text: string, at: CutAt): void {
    this.#cut = { text, at };
  }

  /** Breaks the connection that has carried the text, and on which nothing has come back since. */
  cutUnanswered(): void {
    this.#unanswered?.();
  }

  async close(): Promise<void> {
    await this.#server.stop();
  }

  #accept(near: Socket): void {
    const far = connect({ port: this.#port, host: "127.0.0.1" });
    this.#server.watch(far);
    let isMute = false;
    const breakUp = (): void => {
      near.destroy();
      far.destroy();
    };
    for (const socket of [near, far]) {
      socket.on("error", breakUp);
      socket.on("close", breakUp);
    }
    near.on("data", (chunk) => {
      const cut = this.#cut;
      if (cut !== undefined && chunk.includes(cut.text)) {
        this.#cut = undefined;
        this.cuts += 1;
        if (cut.at === "request") {
          breakUp();
          return;
        }
        isMute = true;
        this.#unanswered = breakUp;
      }
      far.write(chunk);
    });
    far.on("data", (chunk) => {
      if (!isMute) near.write(chunk);
    });
  }
}
