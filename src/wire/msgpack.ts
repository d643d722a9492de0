import { addExtension, Packr } from "msgpackr";

/**
 * No value of ours is a msgpack extension. Those the library knows are refused, as is any other: some are code paths
 * that a few hostile bytes turn into an endless loop (bundled strings that end before they begin), others make objects
 * nobody expects (errors, regular expressions, cycles).
 */
for (let type = 0; type < 256; type += 1) addExtension({ type, unpack: refuse });

function refuse(): never {
  throw new Error("it holds a msgpack extension");
}

/** Encodes and decodes msgpack without extensions; decoding throws for anything that is not well formed. */
export const packr: Packr = new Packr({
  useRecords: false,
  encodeUndefinedAsNil: true,
  int64AsType: "number",
});
