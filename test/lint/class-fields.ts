import type { Node, Rule } from "./rule.ts";

/** Most mutable fields of a class: with more of them it holds two ideas. */
const MOST_MUTABLE = 15;

/** A class has few mutable fields, and no other class writes them. */
export const classFields: Rule = {
  create: (context) => ({
    ClassBody(node: Node): void {
      const fields = membersOf(node).filter(isMutableField);
      if (fields.length > MOST_MUTABLE) {
        const message = `A class has at most ${MOST_MUTABLE} mutable fields, this one has ${fields.length}: part it.`;
        context.report({ node, message });
      }
      const written = membersOf(node).filter((member) => isMutableField(member) || isSetter(member));
      for (const member of written.filter((one) => !isPrivate(one))) {
        const message = "A public field is readonly: keep it private, and give it a getter.";
        context.report({ node: member, message });
      }
    },
  }),
};

function membersOf({ body }: Node): readonly Node[] {
  return Array.isArray(body) ? (body as readonly Node[]) : [];
}

/** True for a field that may be written, static or not. */
function isMutableField({ type, readonly = false }: Node): boolean {
  return type.endsWith("PropertyDefinition") ? !readonly : type.endsWith("AccessorProperty");
}

function isSetter({ type, kind }: Node): boolean {
  return type === "MethodDefinition" && kind === "set";
}

/** A protected field is not private: classes below may write it. */
function isPrivate({ key, accessibility }: Node): boolean {
  return accessibility === "private" || key?.type === "PrivateIdentifier";
}
