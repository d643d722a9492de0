/** Pieces that many queries share. Gauges of the fleet are taken by `max`: several gateways may tell the same. */

/** Seconds below which a share of the observations lies, over all labels but `by`. @param share 0 to 1 */
export function quantile(share: number, metric: string, where = "", by = ""): string {
  const kept = by === "" ? "le" : `le, ${by}`;
  return `histogram_quantile(${share}, sum by (${kept}) (rate(${metric}_bucket${where}[$__rate_interval])))`;
}

/** Mean of a histogram. */
export function mean(metric: string, where = ""): string {
  return `${rate(`${metric}_sum`, where)} / ${rate(`${metric}_count`, where)}`;
}

/** Per second, added up. */
export function rate(metric: string, where = "", by = ""): string {
  return `sum${by === "" ? "" : ` by (${by})`} (rate(${metric}${where}[$__rate_interval]))`;
}

/** A gauge of the fleet, once per combination of `by`. */
export function once(metric: string, by: string, where = ""): string {
  return `max by (${by}) (${metric}${where})`;
}
