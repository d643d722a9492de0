/** The policy for the `num_ctx` of clients. */
export type NumCtxPolicy =
  | { readonly kind: "grow" | "pass" }
  /** `pin`: always this many tokens. `cap`: as `grow`, with this maximum. */
  | { readonly kind: "pin" | "cap"; readonly tokens: number };

/** The syntax of the setting. */
export const NUM_CTX: RegExp = /^(?:grow|pass|(?:pin|cap):[1-9]\d{0,7})$/;

/** Reads a setting that matches {@link NUM_CTX}: `grow`, `pass`, `pin:N` or `cap:N`. */
export function readNumCtxPolicy(text: string): NumCtxPolicy {
  const [kind = "", tokens = ""] = text.split(":");
  if (kind === "pin" || kind === "cap") return { kind, tokens: Number(tokens) };
  return { kind: kind === "pass" ? "pass" : "grow" };
}
