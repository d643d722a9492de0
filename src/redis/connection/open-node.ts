import { withoutUser } from "./access.ts";
import type { RedisAccess } from "./access.ts";
import { NodeConnection } from "./node-connection.ts";
import { tolerateOwnStalls } from "./patient-sockets.ts";
import { commonOptions, newClient } from "./redis-client.ts";
import type { ClientOptions } from "./redis-client.ts";
import type { RedisAddress } from "./redis-url.ts";

/** A frozen Redis is noticed after this time without a byte, ms. The longest blocking command is 1.5 s. */
const SILENCE_MS = 5000;

/** The same for a server that is one of several, ms: another may have taken over by then. */
const MEMBER_SILENCE_MS = 3000;

/** Time for a server that is one of several to connect and to shake hands, ms: another may be better. */
const HANDSHAKE_MS = 1500;

/**
 * Opens a connection to one server, which reconnects by itself when it breaks.
 * @param url redis://, rediss:// or unix:///path/to/socket
 * @param name shown in Redis's CLIENT LIST
 * @param access certificates, user and password. The user and password of the URL count when it has none.
 * @throws Fault `redis_down` when Redis cannot be reached at this moment
 */
export async function openOne(url: string, name: string, access: RedisAccess): Promise<NodeConnection> {
  const common = commonOptions(name, access);
  const socket = { socketTimeout: SILENCE_MS, connectTimeout: SILENCE_MS, reconnectStrategy };
  if (url.startsWith("unix://")) {
    return remembered({ ...common, socket: { ...socket, path: url.slice(7), tls: false } });
  }
  // The client prefers the user and password of a URL to those of the options.
  const bare = access.credentials === undefined ? url : withoutUser(url);
  return remembered({ ...common, url: bare, socket: { ...socket, ...access.tls, noDelay: true } });
}

async function remembered(options: ClientOptions): Promise<NodeConnection> {
  const connection = await opened(options);
  void connection.rememberRun();
  return connection;
}

/** One server of several, and the way to log in. */
export interface Server {
  readonly address: RedisAddress;
  readonly tls: boolean;
  readonly access: RedisAccess;
  readonly database?: number;
  readonly name: string;
}

/**
 * Opens a connection that stays down when it breaks: its owner finds the next server.
 * @throws Fault `redis_down` when the server does not answer within 1.5 s
 */
export async function openMember(server: Server): Promise<NodeConnection> {
  const { address, tls, access, database = 0, name } = server;
  const limits = {
    socketTimeout: MEMBER_SILENCE_MS,
    connectTimeout: HANDSHAKE_MS,
    reconnectStrategy: false as const,
  };
  const socket = { ...address, ...limits, noDelay: true };
  const options = { ...commonOptions(name, access), database };
  if (!tls) return opened({ ...options, socket: { ...socket, tls } }, HANDSHAKE_MS);
  return opened({ ...options, socket: { ...socket, ...access.tls, tls } }, HANDSHAKE_MS);
}

function reconnectStrategy(retries: number): number {
  return Math.min(20 * 2 ** retries, 500) * (0.75 + Math.random() / 2);
}

async function opened(options: ClientOptions, limitMs?: number): Promise<NodeConnection> {
  tolerateOwnStalls();
  const staysDown = options.socket?.reconnectStrategy === false;
  const connection = new NodeConnection(newClient(options), staysDown);
  try {
    await connection.open(limitMs);
  } catch (error) {
    connection.close();
    throw error;
  }
  return connection;
}
