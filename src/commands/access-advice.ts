import type { Settings } from "../config/settings.ts";
import { localUrl } from "./listening.ts";

/** Advice for the holder of a new secret. */

/** The secret of a new or rotated key. */
export function secretText(secret: string): string {
  return `\n  ${secret}\n\nThis is the secret. It is not shown again: keep it now.\n`;
}

/**
 * Tells the change that a new key brings, and on a terminal how to use the key.
 * @param about.closes true when requests without a key are refused from now on
 */
export function firstKeyText(
  { host, port }: Pick<Settings, "host" | "port">,
  about: { readonly secret: string; readonly closes: boolean; readonly isTerminal: boolean },
): string {
  const closing = about.closes
    ? "\nFrom now on requests without a key get 401, at every gateway within 4 s. Keys of SGNET_API_KEY go on to work.\n"
    : "";
  if (!about.isTerminal) return closing;
  const url = localUrl(host, port);
  return `${closing}
Use it, with the address of your gateway:

  curl ${url}/v1/models -H 'authorization: Bearer ${about.secret}'

  OPENAI_BASE_URL=${url}/v1 OPENAI_API_KEY=${about.secret}

  ANTHROPIC_BASE_URL=${url} ANTHROPIC_API_KEY=${about.secret}

`;
}
