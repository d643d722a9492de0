import type { RedisAccess } from "../../../src/redis/connection/access.ts";

/** The Redis of a test. */
export interface FleetRedis {
  /** Address for the test itself. */
  readonly url: string;
  /** Certificates for the test itself. */
  readonly access?: RedisAccess;
  /** Settings of a process that is to use it; the URL when absent. */
  readonly settingsOf?: (command: "gateway" | "worker") => Readonly<Record<string, string>>;
  kill(): Promise<void>;
  startAgain(options: { readonly empty: boolean }): Promise<void>;
  stop(): Promise<void>;
}
