import type { Comment, Node, Rule } from "./rule.ts";

/** Most members of an interface that one caller must fill. */
const MOST_MEMBERS = 8;

const ENDINGS = /(?:Options|Host)$/;

/** A reason stands beside the declaration, with the count: `// 11 fields: each serves other paths`. */
const REASON = /^ (\d+) fields: \S/;

/** Types that pass on the members of their argument. */
const WRAPPERS = new Set(["Readonly", "Required", "Partial"]);

/**
 * An options bag is small: a part with many collaborators has many tasks. A bag is an interface whose name ends in
 * Options or Host. So is the type of the only parameter of a constructor or an exported function. A file is
 * checked alone: types of other files are bags by their name only.
 */
export const wideInterface: Rule = {
  create: (context) => {
    const interfaces: Node[] = [];
    const bags = new Set<string>();
    const literals: Node[] = [];
    const addParameter = (callable: Node | null | undefined): void => {
      if (callable?.params?.length !== 1) return;
      const type = bagOf(callable.params[0]);
      if (type?.type === "TSTypeLiteral") literals.push(type);
      else if (type?.typeName?.name !== undefined) bags.add(type.typeName.name);
    };
    const check = (node: Node, members: readonly Node[]): void => {
      const count = members.length;
      if (count <= MOST_MEMBERS || hasReason(node, count, context.sourceCode.getAllComments())) return;
      const rule = `An options bag has at most ${MOST_MEMBERS} fields, this one has ${count}`;
      context.report({ node, message: `${rule}: part it, or say why in "// ${count} fields: ...".` });
    };
    return {
      TSInterfaceDeclaration(node: Node): void {
        interfaces.push(node);
      },
      MethodDefinition({ kind, value }: Node): void {
        if (kind === "constructor") addParameter(value as Node);
      },
      ExportNamedDeclaration({ declaration }: Node): void {
        addParameter(declaration);
        for (const { init } of declaration?.declarations ?? []) addParameter(init);
      },
      "Program:exit"(): void {
        for (const node of interfaces) {
          const name = node.id?.name ?? "";
          if (ENDINGS.test(name) || bags.has(name)) check(node, (node.body as Node).body as readonly Node[]);
        }
        for (const node of literals) check(node, node.members ?? []);
      },
    };
  },
};

/** The type of a parameter, without wrappers and defaults. */
function bagOf(parameter: Node | undefined): Node | undefined {
  const plain = parameter?.type === "AssignmentPattern" ? parameter.left : parameter;
  let type = plain?.typeAnnotation?.typeAnnotation;
  while (WRAPPERS.has(type?.typeName?.name ?? "")) type = type?.typeArguments?.params?.[0];
  return type;
}

/** The formatter puts such a comment on the line of the declaration, before it or after it. */
function hasReason({ loc }: Node, count: number, comments: readonly Comment[]): boolean {
  const line = loc?.start.line ?? 0;
  return comments.some(
    ({ value, loc: { start } }) =>
      Math.abs(start.line - line) <= 1 && Number(REASON.exec(value)?.[1]) === count,
  );
}
