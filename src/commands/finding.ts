/** One line of `sgnet doctor`. */
export interface Finding {
  /** False: something must be fixed. */
  readonly ok: boolean;
  readonly about: string;
  readonly text: string;
}
