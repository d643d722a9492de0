import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";

/** Paths of PEM files. */
export interface Pair {
  readonly cert: string;
  readonly key: string;
}

function openssl(args: readonly string[]): void {
  execFileSync("openssl", args, { stdio: ["ignore", "ignore", "pipe"] });
}

const NEW_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

/** A certificate authority of a test's own, valid for a day. */
export function makeAuthority(dir: string, name: string): Pair {
  const pair = pairOf(dir, name);
  const subject = ["-subj", `/CN=${name}`, "-days", "1"];
  openssl(["req", "-x509", ...NEW_KEY, "-keyout", pair.key, "-out", pair.cert, ...subject]);
  return pair;
}

/** A certificate signed by an authority. @param days negative: it has expired */
export function makeCertificate(
  dir: string,
  authority: Pair,
  of: { readonly name: string; readonly altName: string; readonly days?: number },
): Pair {
  const pair = pairOf(dir, of.name);
  const request = join(dir, `${of.name}.csr`);
  const extensions = join(dir, `${of.name}.ext`);
  writeFileSync(extensions, `subjectAltName=${of.altName}\n`);
  openssl(["req", "-new", ...NEW_KEY, "-keyout", pair.key, "-out", request, "-subj", `/CN=${of.name}`]);
  const signing = ["-CA", authority.cert, "-CAkey", authority.key, "-CAcreateserial"];
  const life = ["-days", String(of.days ?? 1), "-extfile", extensions];
  openssl(["x509", "-req", "-in", request, "-out", pair.cert, ...signing, ...life]);
  return pair;
}

function pairOf(dir: string, name: string): Pair {
  return { cert: join(dir, `${name}.pem`), key: join(dir, `${name}.key`) };
}
