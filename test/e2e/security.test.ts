/** A run with certificates and a token, as a user sets it up, and callers who lack them. */
import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { authority, files, issue } from "../security/certificates.js";
import { Workplace } from "./skein.js";

const TOKEN = "0123456789abcdef0123456789abcdef";
const ca = authority("the authority");

let place: Workplace;

beforeEach(async () => {
  place = await Workplace.create();
  const own = issue(ca, ["127.0.0.1", "localhost"]);
  const other = issue(authority("a stranger"), ["127.0.0.1"]);
  const texts = { cert: own.cert, key: own.key, ca: ca.cert, token: TOKEN, lie: `${TOKEN}0` };
  const paths = files({ ...texts, strangerCert: other.cert, strangerKey: other.key });
  for (const [name, path] of Object.entries(paths)) copyFileSync(path, join(place.folder, `${name}.pem`));
});

afterEach(() => place.clear());

const SECURITY = {
  tls: { cert: "cert.pem", key: "key.pem", ca: "ca.pem", mutual: true },
  tokenFile: "token.pem",
};
const IDENTITY = ["--tls-cert", "cert.pem", "--tls-key", "key.pem", "--tls-ca", "ca.pem"];

describe("a run with certificates and a token", () => {
  it("trains to its end with skein train alone", async () => {
    const runFile = await place.runFile({ security: SECURITY, stop: { envSteps: 2000 } });
    const { code, events, stderr } = await place.run("train", runFile, "--json");
    expect(code, stderr).toBe(0);
    expect(events.at(-1)).toMatchObject({ event: "finished", reason: "steps" });
    const doors = events.flatMap((event) => (event.event === "listening" ? [event.http] : []));
    expect(doors.every((url) => url.startsWith("https://127.0.0.1:"))).toBe(true);
    expect(await place.read(...(await place.runFolders()), "run.yaml")).not.toContain(TOKEN);
  });

  it("is told by each caller who lacks something what that is", async () => {
    const runFile = await place.runFile({ security: SECURITY });
    const { address } = await place.start("coordinator", runFile, "--json").listening("coordinator");
    const pause = async (...flags: string[]): Promise<string> => {
      const { code, stderr } = await place.run("pause", "--coordinator", address, ...flags);
      expect(code).toBe(1);
      return stderr;
    };
    expect(await pause()).toMatch(/^skein: 127\.0\.0\.1:\d+ encrypts its connections and this side does not/);
    expect(await pause(...IDENTITY)).toMatch(/^skein: this call has no token: give the run's token file/);
    expect(await pause(...IDENTITY, "--token-file", "lie.pem")).toMatch(
      /^skein: the token of this call is not the run's/,
    );
    expect(await pause("--tls-ca", "ca.pem")).toMatch(
      /^skein: --tls-cert, --tls-key and --tls-ca: expected all three/,
    );
    const stranger = ["--tls-cert", "strangerCert.pem", "--tls-key", "strangerKey.pem"];
    expect(await pause(...stranger, "--tls-ca", "ca.pem")).toMatch(
      /holds no authority that signed the certificate/,
    );
    expect(await pause(...IDENTITY, "--token-file", "nothing.pem")).toMatch(
      /cannot read nothing\.pem: ENOENT/,
    );
    const { code, stderr } = await place.run("actor", "--coordinator", address, ...IDENTITY, "--json");
    expect(code).toBe(1);
    expect(stderr).toMatch(/^skein: this call has no token/m);
    const well = ["--coordinator", address, ...IDENTITY, "--token-file", "token.pem"];
    expect((await place.run("pause", ...well)).stdout).toContain("No work is handed out for 60 s");
  });
});
