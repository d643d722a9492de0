/** The label of tenants beyond the bound. */
const OTHER = "other";

/** Bounds the labels of metrics: the first tenants have their names, the rest are `other`. */
export class LabelledTenants {
  readonly #most: number;
  readonly #named = new Set<string>();

  /** @param most tenants with a name of their own */
  constructor(most: number) {
    this.#most = most;
  }

  labelOf(tenant: string): string {
    if (this.#named.has(tenant)) return tenant;
    if (this.#named.size >= this.#most) return OTHER;
    this.#named.add(tenant);
    return tenant;
  }
}
