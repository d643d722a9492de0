import { createServer } from "node:net";

/** The reason why an address cannot be listened on, as a sentence; undefined when it can. */
export async function listenProblem(host: string, port: number): Promise<string | undefined> {
  const server = createServer();
  const error = await new Promise<NodeJS.ErrnoException | undefined>((resolve) => {
    server.once("error", resolve);
    server.listen({ host, port, exclusive: true }, () => {
      server.close(() => resolve(undefined));
    });
  });
  if (error === undefined) return undefined;
  if (error.code === "EADDRINUSE")
    return `Port ${port} of ${host} is taken: choose another with --port, or PORT.`;
  return `Port ${port} of ${host} cannot be listened on (${error.message}).`;
}

/** Time limit for the answer of a busy gateway on a busy machine, ms. */
const ANSWER_LIMIT_MS = 5000;

/** True when a Stargazer gateway answers there. All its answers name it, even those that refuse a missing key. */
export async function isGateway(url: string): Promise<boolean> {
  try {
    const signal = AbortSignal.timeout(ANSWER_LIMIT_MS);
    const { headers } = await fetch(`${url}/healthz`, { method: "HEAD", redirect: "manual", signal });
    return headers.get("server") === "stargazer";
  } catch {
    return false;
  }
}

/** The URL of a local gateway that listens on this address. */
export function localUrl(host: string, port: number): string {
  const reachable = host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "::1" : host;
  return `http://${reachable.includes(":") ? `[${reachable}]` : reachable}:${port}`;
}
