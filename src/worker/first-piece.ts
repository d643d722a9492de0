import type { Pulse, ReplySink } from "../backends/backend.ts";

/** The sink of an attempt that also tells, once, that the first piece of the answer has come. */
export function tellingFirstPiece(sink: ReplySink, onFirst: () => void): ReplySink {
  let told = false;
  const pulse: Pulse = {
    connecting: () => sink.pulse.connecting(),
    sent: () => sink.pulse.sent(),
    alive: () => {
      sink.pulse.alive();
      if (told) return;
      told = true;
      onFirst();
    },
  };
  return {
    head: (status, contentType, dropped) => sink.head(status, contentType, dropped),
    write: (bytes) => sink.write(bytes),
    pulse,
    ...(sink.brake === undefined ? {} : { brake: sink.brake }),
  };
}
