import { isoTime } from "../../core/iso-time.ts";
import { dayEnd, dayOf, monthEnd } from "../../core/access/calendar.ts";
import type { KeyLimits } from "../../core/access/key-limits.ts";
import type { Principal } from "../../core/access/principal.ts";
import { Fault } from "../../core/fault.ts";
import { greatest } from "../../core/long-lists.ts";
import type { Log } from "../../telemetry/log.ts";
import type { Charge, LimitCheck, LimitRequest, LimitState } from "./limit-check.ts";
import type { UsageLedger } from "./usage-ledger.ts";

/** Share of a budget from which on it is warned of. */
const NEAR = 0.9;

/** Totals of this age still do, ms; beyond it Redis is asked first. */
const AGED_MS = 60_000;

/** The same near the end of a budget, ms. */
const AGED_NEAR_MS = 5000;

/** Seconds after which to come back when open requests may use the rest of a budget. */
const SHORT_WAIT = 5;

/** Most warnings remembered as logged. */
const MOST_LOGGED = 10_000;

const NO_STATES: readonly LimitState[] = [];

/** A key or tenant that has a budget. */
interface BudgetHolder {
  readonly tenant: string;
  /** Id of the key; empty for the tenant. */
  readonly key: string;
  /** As people read it. */
  readonly name: string;
  readonly limits: KeyLimits;
}

/** One budget of a holder, now. */
interface BudgetState {
  readonly holder: BudgetHolder;
  readonly period: "day" | "month";
  readonly budget: number;
  /** Tokens used, without those of open requests. */
  readonly used: number;
  /** Estimated tokens of open requests. */
  readonly reserved: number;
}

export interface BudgetsOptions {
  readonly ledger: Pick<UsageLedger, "totals" | "learn" | "watch" | "now">;
  readonly log: Pick<Log, "warn">;
}

/**
 * The budgets of keys and tenants: tokens per day and month (UTC). Three sums decide about a request: the use at all
 * gateways, the use here that Redis may lack, and the estimates of this gateway's open requests.
 *
 * A hard budget can be overshot by two things. Open requests use more than their estimates. Other gateways admit requests
 * within the second or two until this one hears of them.
 */
export class Budgets implements LimitCheck {
  readonly #options: BudgetsOptions;
  /** Estimated tokens of open requests, by holder. */
  readonly #reserved = new Map<string, number>();
  readonly #logged = new Set<string>();
  /** Holders that were asked about. */
  readonly #holders = new Map<string, BudgetHolder>();

  constructor(options: BudgetsOptions) {
    this.#options = options;
  }

  charge(request: LimitRequest): Charge | Promise<Charge> | undefined {
    const holders = holdersOf(request.principal);
    if (holders.length === 0) return undefined;
    const aged = holders.filter((holder) => this.#isAged(holder));
    for (const holder of holders) {
      this.#options.ledger.watch(holder.tenant, holder.key, this.#share(holder) >= NEAR);
    }
    return aged.length === 0 ? this.#take(holders, request) : this.#takeAfter(aged, holders, request);
  }

  states(): readonly LimitState[] {
    return NO_STATES;
  }

  /** Used share of the budgets of each tenant and period, the largest of tenant and keys. Above 1: overshoot. */
  shares(): { readonly tenant: string; readonly period: "day" | "month"; readonly share: number }[] {
    const shares = new Map<string, { tenant: string; period: "day" | "month"; share: number }>();
    for (const [id, holder] of this.#holders) {
      const states = this.#statesOf(holder);
      if (states === undefined) this.#holders.delete(id);
      for (const { period, used, budget } of states ?? []) {
        const { tenant } = holder;
        const name = `${tenant} ${period}`;
        const share = Math.max(shares.get(name)?.share ?? 0, budget === 0 ? 1 : used / budget);
        shares.set(name, { tenant, period, share });
      }
    }
    return [...shares.values()];
  }

  async #takeAfter(
    aged: readonly BudgetHolder[],
    holders: readonly BudgetHolder[],
    request: LimitRequest,
  ): Promise<Charge> {
    const [{ tenant } = { tenant: "" }] = aged;
    await this.#options.ledger.learn(
      tenant,
      aged.map(({ key }) => key),
    );
    return this.#take(holders, request);
  }

  #take(holders: readonly BudgetHolder[], request: LimitRequest): Charge {
    const states = holders.flatMap((holder) => this.#statesOf(holder) ?? []);
    for (const holder of holders) this.#holders.set(idOf(holder), holder);
    const warnings: string[] = [];
    for (const state of states) {
      if (state.used >= state.budget * NEAR) this.#logNear(state);
      if (modeOf(state) === "warn" && state.used >= state.budget) warnings.push(warningOf(state));
    }
    this.#refuse(states.filter((state) => modeOf(state) === "hard"));
    return this.#reserve(holders, request.inputTokens + request.outputTokens, warnings);
  }

  #refuse(states: readonly BudgetState[]): void {
    const spent = states.filter(({ used, reserved, budget }) => used + reserved >= budget);
    const [first, ...others] = spent;
    if (first === undefined) return;
    const now = this.#options.ledger.now() ?? 0;
    const worst = others.reduce((most, one) => (endOf(one, now) > endOf(most, now) ? one : most), first);
    const { used, budget, period, holder } = worst;
    if (used < budget) {
      const message = `the open requests of ${holder.name} may use the rest of its budget of ${budget} tokens per ${period}`;
      throw new Fault("budget_exceeded", message, { retryAfter: SHORT_WAIT });
    }
    const end = endOf(worst, now);
    const message = `${holder.name} has used its budget of ${budget} tokens per ${period}; the next ${period} begins at ${isoTime(end).slice(0, 19)}Z`;
    throw new Fault("budget_exceeded", message, { retryAfter: Math.max(1, Math.ceil((end - now) / 1000)) });
  }

  #reserve(holders: readonly BudgetHolder[], tokens: number, warnings: readonly string[]): Charge {
    const ids = holders.map(idOf);
    for (const id of ids) this.#addReserved(id, tokens);
    const release = (): void => {
      for (const id of ids) this.#addReserved(id, -tokens);
    };
    // The tokens that were used are in the ledger by now.
    return { settle: release, refund: release, ...(warnings.length === 0 ? {} : { warnings }) };
  }

  #addReserved(id: string, tokens: number): void {
    const sum = (this.#reserved.get(id) ?? 0) + tokens;
    if (sum <= 0) this.#reserved.delete(id);
    else this.#reserved.set(id, sum);
  }

  #isAged(holder: BudgetHolder): boolean {
    const { ageMs = Infinity } = this.#options.ledger.totals(holder.tenant, holder.key) ?? {};
    return ageMs > (this.#share(holder) >= NEAR ? AGED_NEAR_MS : AGED_MS);
  }

  /** The largest used share of a holder's budgets, open requests included; 0 when it is not known. */
  #share(holder: BudgetHolder): number {
    const shares = (this.#statesOf(holder) ?? []).map(({ used, reserved, budget }) =>
      budget === 0 ? 1 : (used + reserved) / budget,
    );
    return greatest([0, ...shares]);
  }

  /** Undefined when Redis was not asked yet. */
  #statesOf(holder: BudgetHolder): BudgetState[] | undefined {
    const totals = this.#options.ledger.totals(holder.tenant, holder.key);
    if (totals === undefined) return undefined;
    const reserved = this.#reserved.get(idOf(holder)) ?? 0;
    const { budgetDay, budgetMonth } = holder.limits;
    const day: BudgetState[] =
      budgetDay === undefined
        ? []
        : [{ holder, period: "day", budget: budgetDay, used: totals.day, reserved }];
    if (budgetMonth === undefined) return day;
    return [...day, { holder, period: "month", budget: budgetMonth, used: totals.month, reserved }];
  }

  /** Logs once per period that a budget is nearly used, and once that it is used. */
  #logNear(state: BudgetState): void {
    const { holder, period, used, budget } = state;
    const today = dayOf(this.#options.ledger.now() ?? 0);
    const stage = used >= budget ? "used" : "nearly used";
    const id = `${idOf(holder)} ${stage} ${period} ${today} ${budget}`;
    if (this.#logged.has(id)) return;
    if (this.#logged.size >= MOST_LOGGED) this.#logged.clear();
    this.#logged.add(id);
    this.#options.log.warn(`a budget is ${stage}`, {
      tenant: holder.tenant,
      of: holder.name,
      period,
      used,
      budget,
      mode: modeOf(state),
    });
  }
}

function holdersOf({ key, tenant }: Principal): BudgetHolder[] {
  const holders: BudgetHolder[] = [];
  if (key !== undefined && hasBudget(key)) {
    holders.push({ tenant: key.tenant, key: key.id, name: `the key ${key.name}`, limits: key });
  }
  if (tenant !== undefined && hasBudget(tenant)) {
    holders.push({ tenant: tenant.name, key: "", name: `the tenant ${tenant.name}`, limits: tenant });
  }
  return holders;
}

function hasBudget({ budgetDay, budgetMonth }: KeyLimits): boolean {
  return budgetDay !== undefined || budgetMonth !== undefined;
}

function modeOf({ holder }: BudgetState): "hard" | "warn" {
  return holder.limits.budget ?? "hard";
}

function warningOf({ holder, period, used, budget }: BudgetState): string {
  const kind = holder.key === "" ? "tenant" : "key";
  return `budget-exceeded; of=${kind}; period=${period}; used=${used}; budget=${budget}`;
}

function endOf({ period }: BudgetState, now: number): number {
  return period === "day" ? dayEnd(now) : monthEnd(now);
}

function idOf({ tenant, key }: BudgetHolder): string {
  return `${tenant} ${key}`;
}
