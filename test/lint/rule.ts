/** The part of an ESTree node that the rules look at. */
export interface Node {
  readonly type: string;
  /** The value of a literal. */
  readonly value?: unknown;
  /** The pattern of a literal that is a regular expression. */
  readonly regex?: { readonly pattern: string; readonly flags: string };
  /** The callee of a call. */
  readonly callee?: {
    readonly type: string;
    readonly name?: string;
    readonly property?: { readonly type: string; readonly name?: string };
  };
  readonly arguments?: readonly Node[];
  /** The operator and sides of a binary expression. */
  readonly operator?: string;
  readonly left?: Node;
  readonly right?: Node;
  readonly loc?: Comment["loc"];
  /** The members of a class, or the body of an interface with its members. */
  readonly body?: Node | readonly Node[];
  /** The members of an object type. */
  readonly members?: readonly Node[];
  /** The name and the modifiers of a member of a class. */
  readonly key?: { readonly type: string };
  readonly kind?: string;
  readonly readonly?: boolean;
  readonly accessibility?: string | null;
  /** The name of a declaration. */
  readonly id?: { readonly name?: string } | null;
  /** The declaration that is exported, its variables, and the value of each. */
  readonly declaration?: Node | null;
  readonly declarations?: readonly Node[];
  readonly init?: Node | null;
  /** The parameters of a function, or the arguments of a type. */
  readonly params?: readonly Node[];
  readonly typeAnnotation?: Node;
  readonly typeName?: { readonly name?: string };
  readonly typeArguments?: Node | null;
  /** The texts between the values of a template. */
  readonly quasis?: readonly { readonly value: { readonly cooked?: string | null } }[];
}

export interface Comment {
  readonly type: "Line" | "Block" | "Shebang";
  /** Without its marks. */
  readonly value: string;
  readonly loc: { readonly start: { readonly line: number }; readonly end: { readonly line: number } };
}

export interface Finding {
  readonly node: Node | Comment;
  readonly message: string;
}

/** A rule in the form that oxlint takes of ESLint. */
export interface Rule {
  /** The JSON schemas of its options. Without them a rule takes none. */
  readonly meta?: { readonly schema: readonly Readonly<Record<string, unknown>>[] };
  create(context: {
    report(finding: Finding): void;
    /** The options of the rule, as the configuration gives them. */
    readonly options?: readonly Readonly<Record<string, unknown>>[];
    readonly sourceCode: { getAllComments(): readonly Comment[] };
  }): Readonly<Record<string, (node: Node) => void>>;
}
