/** One line of `sgnet doctor`. */
export interface Finding {
  /** False: a problem to fix. */
  readonly ok: boolean;
  readonly about: string;
  readonly text: string;
}
