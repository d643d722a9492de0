import type { NativeApp } from "./uws.ts";

/** Beyond the bound so many more are let in, as a part of it and at least, to be told that there is no room. */
const PORCH_SHARE = 1 / 16;
const PORCH_LEAST = 32;

export interface ConnectionsOptions {
  /** Most connections that are served at a time. */
  readonly most: number;
  /** Told of each one that is cut because even those that are refused are too many. */
  readonly onCut: () => void;
}

/**
 * Counts the connections of clients. Each may hold a head that is not whole, so their number bounds what those cost that
 * never ask for anything; their time is bounded by the native server (10 s for the first byte, 30 s for a head).
 */
export class Connections {
  readonly #options: ConnectionsOptions;
  readonly #mostLetIn: number;
  #open = 0;

  constructor(app: NativeApp, options: ConnectionsOptions) {
    this.#options = options;
    this.#mostLetIn = options.most + Math.max(PORCH_LEAST, Math.ceil(options.most * PORCH_SHARE));
    app.filter((res, change) => {
      this.#open += Number(change);
      if (Number(change) < 0 || this.#open <= this.#mostLetIn) return;
      options.onCut();
      res.close();
    });
  }

  get open(): number {
    return this.#open;
  }

  /** True while a request on a new connection has to be refused. */
  get full(): boolean {
    return this.#open > this.#options.most;
  }
}
