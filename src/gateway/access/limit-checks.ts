import type { Principal } from "../../core/access/principal.ts";
import type { Usage } from "../../core/usage.ts";
import type { Charge, LimitCheck, LimitRequest, LimitState } from "./limit-check.ts";

/** All limits of keys and tenants, in the order of their checks. A check that refuses undoes those before it. */
export class LimitChecks implements LimitCheck {
  readonly #checks: readonly LimitCheck[];

  constructor(checks: readonly LimitCheck[]) {
    this.#checks = checks;
  }

  charge(request: LimitRequest): Charge | Promise<Charge> | undefined {
    const taken: Charge[] = [];
    for (const [index, check] of this.#checks.entries()) {
      let charge: Charge | Promise<Charge> | undefined;
      try {
        charge = check.charge(request);
      } catch (error) {
        refundAll(taken);
        throw error;
      }
      if (charge instanceof Promise) return chargeRest(taken, charge, this.#checks.slice(index + 1), request);
      if (charge !== undefined) taken.push(charge);
    }
    return taken.length === 0 ? undefined : joined(taken);
  }

  states(principal: Principal): readonly LimitState[] {
    return this.#checks.flatMap((check) => check.states(principal));
  }
}

async function chargeRest(
  taken: Charge[],
  pending: Promise<Charge>,
  checks: readonly LimitCheck[],
  request: LimitRequest,
): Promise<Charge> {
  try {
    taken.push(await pending);
    for (const check of checks) {
      const charge = await check.charge(request);
      if (charge !== undefined) taken.push(charge);
    }
    return joined(taken);
  } catch (error) {
    refundAll(taken);
    throw error;
  }
}

function joined(charges: readonly Charge[]): Charge {
  const warnings = charges.flatMap((charge) => charge.warnings ?? []);
  return {
    ...(warnings.length === 0 ? {} : { warnings }),
    settle: (usage: Usage | undefined) => {
      for (const charge of charges) charge.settle(usage);
    },
    refund: () => {
      refundAll(charges);
    },
  };
}

function refundAll(charges: readonly Charge[]): void {
  for (const charge of charges.toReversed()) charge.refund();
}
