/** The part of an ESTree node that the rules look at. */
export interface Node {
  readonly type: string;
  /** The pattern of a literal that is a regular expression. */
  readonly regex?: { readonly pattern: string; readonly flags: string };
  /** The callee of a call. */
  readonly callee?: {
    readonly type: string;
    readonly name?: string;
    readonly property?: { readonly type: string; readonly name?: string };
  };
  readonly arguments?: readonly Node[];
}

export interface Finding {
  readonly node: Node;
  readonly message: string;
}

/** A rule in the form that oxlint takes of ESLint. */
export interface Rule {
  create(context: { report(finding: Finding): void }): Readonly<Record<string, (node: Node) => void>>;
}
