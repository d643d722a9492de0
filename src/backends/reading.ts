import { Fault } from "../core/fault.ts";

/**
 * Runs a part of reading a reply. Words of the backend that cannot be read count for the request: the same model
 * says them elsewhere, too, and other requests get on well. Only what says so itself is the backend's.
 */
export function reading<Result>(work: () => Result): Result {
  try {
    return work();
  } catch (error) {
    const isUnread =
      error instanceof Fault && error.code === "backend_lost" && error.statedBlame === undefined;
    throw isUnread ? error.blamedOn("request") : error;
  }
}
