import { addExtension, Packr } from "msgpackr";

/**
 * Rejects all msgpack extensions, because no value of ours is one. A few hostile bytes turn some of the library's
 * extensions into an endless loop (bundled strings). Others create unexpected objects (errors, regular expressions,
 * cycles).
 */
for (let type = 0; type < 256; type += 1) addExtension({ type, unpack: refuse });

function refuse(): never {
  throw new Error("it holds a msgpack extension");
}

/** Encodes and decodes msgpack without extensions. Decoding throws for malformed bytes. */
export const packr: Packr = new Packr({
  useRecords: false,
  encodeUndefinedAsNil: true,
  int64AsType: "number",
});
