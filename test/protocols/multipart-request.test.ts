import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { Fault } from "../../src/core/fault.ts";
import { formNamesModel, withFormModel } from "../../src/protocols/openai/multipart-model.ts";
import { readFormHead } from "../../src/protocols/openai/multipart-request.ts";
import { type Field, formBody } from "../rig/multipart.ts";

const TYPE = "multipart/form-data; boundary=b";
const MODEL: Field = { name: "model", value: "whisper-1" };
const FILE: Field = { name: "file", filename: "a.wav", value: "RIFF" };

function read(head: string, value: string | Buffer = "x"): Field {
  return { name: "", head, value };
}

/** The result for a form whose field `stream` has this value. */
function wantsStream(value: string): boolean {
  return open([MODEL, { name: "stream", value }]).stream;
}

function open(fields: readonly Field[]): ReturnType<typeof readFormHead> {
  return readFormHead(formBody("b", fields), TYPE);
}

function refused(code: string, http: number, message: RegExp): (error: unknown) => true {
  return (error) => {
    assert.ok(error instanceof Fault, String(error));
    assert.equal(error.code, code);
    assert.equal(error.http, http);
    assert.match(error.message, message);
    return true;
  };
}

describe("a form of an OpenAI client", () => {
  it("tells its model and where it stands, wherever that is", () => {
    for (const fields of [
      [MODEL, FILE],
      [FILE, MODEL],
      [FILE, MODEL, { name: "prompt", value: "model" }],
    ]) {
      const body = formBody("b", fields);
      const { model, stream, modelAt } = readFormHead(body, TYPE);
      assert.deepEqual(
        { model, stream, modelAt },
        { model: "whisper-1", stream: false, modelAt: body.indexOf("whisper-1") },
      );
    }
  });

  it("need not name a model", () => {
    assert.deepEqual(open([FILE]), { model: "", stream: false, contentType: TYPE, modelAt: undefined });
    const empty = formBody("b", [FILE, { name: "model", value: "" }, FILE]);
    const { model, modelAt = 0 } = readFormHead(empty, TYPE);
    assert.deepEqual(
      [model, empty.toString("latin1", 0, modelAt).endsWith('name="model"\r\n\r\n')],
      ["", true],
    );
  });

  it("is told to the backend by its boundary alone", () => {
    const type = 'Multipart/Form-Data; charset=x; Boundary="b"';
    assert.equal(readFormHead(formBody("b", [MODEL]), type).contentType, TYPE);
  });

  it("wants a stream in the words that servers take", () => {
    for (const word of ["true", "True", "TRUE", "1", "yes", "on", "t", "y"])
      assert.equal(wantsStream(word), true, word);
    for (const word of ["false", "False", "0", "no", "off", "f", "n", ""])
      assert.equal(wantsStream(word), false, word);
    for (const word of ["maybe", "true ", "t".repeat(1000)]) {
      assert.throws(
        () => wantsStream(word),
        refused("invalid_request", 400, /'stream' must be true or false/),
      );
    }
  });

  const disposition = 'Content-Disposition: form-data; name="model"';
  const doubtful: readonly [what: string, fields: readonly Field[], message: RegExp][] = [
    ["two models", [MODEL, FILE, MODEL], /'model' 2 times/],
    [
      "two streams",
      [MODEL, { name: "stream", value: "1" }, { name: "stream", value: "0" }],
      /'stream' 2 times/,
    ],
    ["a model in a file", [{ ...MODEL, filename: "m" }], /'model' must be a field/],
    ["an escaped name", [read('Content-Disposition: form-data; name="mo\\del"')], /'model' plainly/],
    [
      "a model in base64",
      [read(`${disposition}\r\nContent-Transfer-Encoding: base64`, "eA==")],
      /'model' must have no content-transfer/,
    ],
    ["a model that is no UTF-8", [read(disposition, Buffer.from([0xff]))], /'model' must be text/],
  ];
  for (const [what, fields, message] of doubtful) {
    it(`is refused with ${what}`, () => {
      assert.throws(() => open(fields), refused("invalid_request", 400, message));
    });
  }

  it("may have what only its backend reads in any encoding, and as often as it likes", () => {
    const file =
      'Content-Disposition: form-data; name="image[]"; filename="x"\r\nContent-Transfer-Encoding: base64';
    assert.equal(open([read(file), MODEL, read(file)]).model, "whisper-1");
  });

  it("is refused with what is wrong with it", () => {
    const cases: readonly [type: string, body: Buffer, fault: Parameters<typeof refused>][] = [
      [TYPE, Buffer.alloc(0), ["body_missing", 400, /missing/]],
      ["multipart/form-data", formBody("b", [MODEL]), ["invalid_request", 400, /one boundary/]],
      [`${TYPE}; boundary=c`, formBody("b", [MODEL]), ["invalid_request", 400, /one boundary/]],
      [TYPE, formBody("c", [MODEL]), ["invalid_request", 400, /does not have the boundary/]],
      [TYPE, formBody("b", [MODEL]).subarray(0, -4), ["invalid_request", 400, /part 1/]],
      [TYPE, formBody("b", [read("x")]), ["invalid_request", 400, /headers of part 1/]],
      [
        TYPE,
        formBody("b", [read(`x: ${"y".repeat(20_000)}`)]),
        ["invalid_request", 400, /longer than 16384/],
      ],
      [
        TYPE,
        formBody("b", [{ ...FILE, value: "\r\n--b_".repeat(10_001) }]),
        ["invalid_request", 400, /10000 of its lines/],
      ],
      [
        TYPE,
        formBody("b", [read("Content-Type: a/b")]),
        ["invalid_request", 400, /part 1 has no content disposition/],
      ],
      [
        TYPE,
        formBody(
          "b",
          Array.from({ length: 1001 }, () => FILE),
        ),
        ["request_too_large", 413, /1000 parts/],
      ],
      [
        "application/json",
        Buffer.from('{"model":"a"}'),
        ["unsupported", 415, /multipart\/form-data.*'application\/json'/],
      ],
      ["", Buffer.from('{"model":"a"}'), ["unsupported", 415, /multipart\/form-data.*no content type/]],
    ];
    for (const [type, body, fault] of cases) assert.throws(() => readFormHead(body, type), refused(...fault));
  });
});

describe("a form for a backend that calls the model otherwise", () => {
  it("changes in nothing but the name", () => {
    const body = formBody("b", [{ name: "prompt", value: "whisper-1" }, MODEL, FILE]);
    const at = readFormHead(body, TYPE).modelAt ?? 0;
    const sent = withFormModel(body, { modelAt: at, asked: "whisper-1" }, "openai/whisper");
    const expected = formBody("b", [
      { name: "prompt", value: "whisper-1" },
      { ...MODEL, value: "openai/whisper" },
      FILE,
    ]);
    assert.deepEqual(sent, expected);
    assert.equal(withFormModel(body, { modelAt: at, asked: "whisper-1" }, "whisper-1"), body);
  });

  it("gets the name where it has none, once, and keeps all else", () => {
    const around = { preamble: "words\r\n", epilogue: "\r\nmore", padding: " " };
    const empty = { ...MODEL, value: "" };
    for (const fields of [[], [FILE], [empty], [empty, FILE], [FILE, empty]]) {
      for (const more of [{}, around]) {
        const body = formBody("b", fields, more);
        const opened = readFormHead(body, TYPE);
        assert.equal(formNamesModel(body, opened), false);
        const sent = withFormModel(body, { ...opened, asked: "its" }, "its");
        const filled = fields.map((field) => (field === empty ? { ...MODEL, value: "its" } : field));
        const expected = fields.includes(empty) ? filled : [{ ...MODEL, value: "its" }, ...fields];
        const blanks = { ...more, padding: "" };
        assert.equal(
          sent.toString("latin1").replaceAll(/(?<=--b(?:--)?) +/g, ""),
          formBody("b", expected, blanks).toString("latin1"),
        );
        assert.equal(formNamesModel(sent, readFormHead(sent, TYPE)), true);
      }
    }
    const quoted = 'multipart/form-data; boundary="b c"';
    const sent = withFormModel(formBody("b c", [FILE]), { contentType: quoted, asked: "its" }, "its");
    assert.equal(readFormHead(sent, quoted).model, "its");
    for (const contentType of [TYPE, "text/plain", undefined]) {
      const form = { contentType, asked: "its" };
      assert.throws(() => withFormModel(Buffer.from("x"), form, "its"), refused("internal", 500, /boundary/));
    }
    assert.throws(
      () => withFormModel(formBody("b", [FILE]), { contentType: TYPE, asked: "" }, "x\r\ny"),
      refused("unsupported", 400, /cannot be written/),
    );
  });

  it("is not made where the name is not in its place, or would end its field", () => {
    const body = formBody("b", [MODEL]);
    assert.throws(
      () => withFormModel(body, { modelAt: 3, asked: "whisper-1" }, "x"),
      refused("internal", 500, /not where/),
    );
    const at = readFormHead(body, TYPE).modelAt ?? 0;
    assert.throws(
      () => withFormModel(body, { modelAt: at, asked: "whisper-1" }, "x\r\ny"),
      refused("unsupported", 400, /cannot be written/),
    );
  });

  it("has the model that was read, and the same bytes around it, whatever the form is", () => {
    const boundary = fc.string({
      minLength: 8,
      maxLength: 70,
      unit: fc.constantFrom("-", "a", "b", "Z", "0", "_"),
    });
    const file = fc.record({
      name: fc.constantFrom("file", "image[]", "Model", "model[]", "prompt"),
      value: fc.uint8Array().map((bytes) => Buffer.from(bytes)),
      filename: fc.option(fc.constant("x.bin"), { nil: undefined }),
    });
    const name = fc
      .string({ minLength: 1, unit: "grapheme" })
      .filter((text) => !/[\r\n]/.test(text) && text.isWellFormed());
    fc.assert(
      fc.property(
        boundary,
        fc.array(file, { maxLength: 4 }),
        fc.nat(4),
        fc.tuple(name, name),
        (mark, files, place, [asked, model]) => {
          const fields: Field[] = files.map(({ filename, ...rest }) =>
            filename === undefined ? rest : { ...rest, filename },
          );
          const named = (value: string): Buffer =>
            formBody(mark, fields.toSpliced(place, 0, { name: "model", value }));
          const body = named(asked);
          const opened = readFormHead(body, `multipart/form-data; boundary=${mark}`);
          assert.equal(opened.model, asked);
          const sent = withFormModel(body, { ...opened, asked }, model);
          assert.deepEqual(sent, named(model));
          assert.equal(readFormHead(sent, opened.contentType).model, model);
        },
      ),
    );
  });
});
