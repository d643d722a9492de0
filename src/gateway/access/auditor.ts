import { bucketOf, takeUnits } from "../../core/access/gcra.ts";
import type { AuditedAction, AuditEntry } from "../../core/access/audit-entry.ts";
import type { AuditLog } from "../../redis/audit-log.ts";
import type { Log } from "../../telemetry/log.ts";
import type { HttpRequest } from "../http/http.ts";
import type { Keyring } from "../http/keyring.ts";

/** The parts of a gateway that its auditor uses. */
export interface AuditorHost {
  readonly audit: Pick<AuditLog, "append">;
  readonly keyring: Pick<Keyring, "identify">;
  readonly log: Pick<Log, "warn">;
  /** Ms, monotonic. */
  mono(): number;
}

/** The author of a request: the name of its key, and its address. */
export type Author = Pick<AuditEntry, "who" | "from">;

/**
 * Refused attempts have entries at this rate, so that a flood of them never pushes the log's other entries out: 20 at
 * once, then one a minute. A week of such a flood fills the log.
 */
const REFUSALS = bucketOf(1, 20);

/** The name of a request without a key. */
const NO_KEY = "anonymous";

/** Writes the audit log of one gateway. */
export class Auditor {
  readonly #host: AuditorHost;
  #refusalsFullAt = 0;
  /** Refusals without an entry since the last one that has one. */
  #unwritten = 0;

  constructor(host: AuditorHost) {
    this.#host = host;
  }

  /** Names the author of a request. Call it before the reply: a request that is answered has lost its address. */
  authorOf({ headers, remote }: Pick<HttpRequest, "headers" | "remote">): Author {
    return { who: this.#host.keyring.identify(headers)?.key?.name ?? NO_KEY, from: remote };
  }

  /**
   * Appends an action that was carried out, or was sent to workers. Never rejects: the action stands. An entry that
   * Redis does not take goes to the gateway's own log.
   */
  async record(author: Author, action: AuditedAction, outcome: "done" | "sent" = "done"): Promise<void> {
    await this.#append({ ...author, ...action, outcome });
  }

  /** Appends an attempt that its role forbids. Counts it only when too many come. */
  refused(author: Author, action: AuditedAction): void {
    const { granted, fullAt } = takeUnits(REFUSALS, this.#refusalsFullAt, this.#host.mono(), 1);
    if (granted === 0) {
      this.#unwritten += 1;
      return;
    }
    this.#refusalsFullAt = fullAt;
    const more = this.#unwritten;
    this.#unwritten = 0;
    void this.#append({ ...author, ...action, outcome: "refused", ...(more === 0 ? {} : { more }) });
  }

  async #append(entry: AuditEntry): Promise<void> {
    try {
      await this.#host.audit.append(entry);
    } catch (error) {
      this.#host.log.warn("the audit log could not be written", {
        entry: JSON.stringify(entry),
        error: String(error),
      });
    }
  }
}
