/** Reading certificates and tokens: what is wrong with them is said before anything listens. */
import { describe, expect, it } from "vitest";
import { NO_CREDENTIALS, readCredentials } from "../../core/security/credentials.js";
import { failureOf } from "../transport/helpers.js";
import { authority, belongTogether, files, intermediate, issue } from "./certificates.js";

const TOKEN = "0123456789abcdef0123456789abcdef";
const ca = authority("the authority");
const good = issue(ca, ["localhost"]);

async function complaint(texts: { cert: string; key: string; ca: string }): Promise<string> {
  const error = await failureOf(readCredentials({ tls: files(texts), tokenFile: null }));
  expect(error.code).toBe("CONFIG_INVALID");
  return error.message;
}

describe("readCredentials", () => {
  it("gives nothing where nothing is named", async () => {
    expect(await readCredentials({ tls: null, tokenFile: null })).toEqual(NO_CREDENTIALS);
  });

  it("gives the texts of files that belong together, and the token without its line end", async () => {
    const { token, ...tls } = files({ cert: good.cert, key: good.key, ca: ca.cert, token: `${TOKEN}\n` });
    const credentials = await readCredentials({ tls, tokenFile: token });
    expect(credentials).toEqual({ tls: { ...good, ca: ca.cert }, token: TOKEN });
    expect(belongTogether(credentials.tls!)).toBe(true);
  });

  it("follows a chain of intermediate authorities, and takes one of several authorities", async () => {
    const between = intermediate(ca, "between");
    const leaf = issue(between, ["localhost"]);
    const bundle = authority("another").cert + ca.cert;
    const tls = files({ cert: leaf.cert + between.cert, key: leaf.key, ca: bundle });
    expect((await readCredentials({ tls, tokenFile: null })).tls?.ca).toBe(bundle);
    const without = await complaint({ ...leaf, ca: ca.cert });
    expect(without).toMatch(/holds no authority that signed the certificate .* \(issued by CN=between\)/);
  });

  it("names a file that is not there", async () => {
    const tls = { ...files({ cert: good.cert, ca: ca.cert }), key: "/nowhere/key.pem" };
    const error = await failureOf(readCredentials({ tls, tokenFile: null }));
    expect(error).toMatchObject({ code: "CONFIG_INVALID" });
    expect(error.message).toMatch(/^security\.tls\.key: cannot read \/nowhere\/key\.pem: ENOENT/);
  });

  it("tells what is no certificate and what is no key", async () => {
    expect(await complaint({ ...good, cert: "hello", ca: ca.cert })).toMatch(
      /expected a certificate in PEM, found none/,
    );
    const broken = good.cert.replace(/\n.{20}/, "\nAAAAAAAAAAAAAAAAAAAA");
    expect(await complaint({ ...good, cert: broken, ca: ca.cert })).toMatch(/not a certificate in PEM/);
    expect(await complaint({ ...good, key: good.cert, ca: ca.cert })).toMatch(/not a private key/);
    expect(await complaint({ ...good, ca: good.key })).toMatch(/^security\.tls\.ca: .*found none/);
  });

  it("refuses a key of another certificate", async () => {
    const other = issue(ca, ["localhost"]);
    expect(await complaint({ ...good, key: other.key, ca: ca.cert })).toMatch(
      /is not the key of the certificate/,
    );
  });

  it("refuses an authority that signed another certificate, also one of the same name", async () => {
    expect(await complaint({ ...good, ca: authority("the authority").cert })).toMatch(
      /holds no authority that signed/,
    );
  });

  it("refuses what has expired and what is not valid yet", async () => {
    expect(await complaint({ ...issue(ca, ["localhost"], -9, -2), ca: ca.cert })).toMatch(
      /expired on .*; renew it/,
    );
    expect(await complaint({ ...issue(ca, ["localhost"], 2, 9), ca: ca.cert })).toMatch(
      /is not valid before/,
    );
  });

  it.each([
    ["too short", "hunter2"],
    ["of two words", `${TOKEN} ${TOKEN}`],
    ["empty", "\n"],
    ["of letters that no header carries", "ünïcödé-ünïcödé-ünïcödé"],
  ])("refuses a token %s", async (_, text) => {
    const { token } = files({ token: text });
    const error = await failureOf(readCredentials({ tls: null, tokenFile: token }));
    expect(error.message).toMatch(
      /one word of 16 to 4096 visible characters; make one with: openssl rand -hex 32/,
    );
  });
});
