/** The side door of a run with a token, with certificates, with both: what probes see and what they do not. */
import { request as plainRequest } from "node:http";
import { request as secureRequest } from "node:https";
import { afterEach, describe, expect, it } from "vitest";
import { OPEN, type Security } from "../../core/security/credentials.js";
import { createActorMetrics } from "../../core/telemetry/metrics.js";
import { openSideDoor, type SideDoor } from "../../core/telemetry/side-door.js";
import { authority, issue } from "./certificates.js";

const TOKEN = "0123456789abcdef";
const ca = authority("the authority");
const tls = { ...issue(ca, ["127.0.0.1"]), ca: ca.cert };

const doors: SideDoor[] = [];

afterEach(async () => {
  for (const door of doors.splice(0)) await door.close();
});

async function serve(security: Partial<Security>): Promise<string> {
  const { registry } = createActorMetrics({ processMetrics: false });
  const health = () => ({ ok: true, detail: { seats: 3 } });
  const door = await openSideDoor("127.0.0.1:0", registry, health, { ...OPEN, ...security });
  doors.push(door);
  return door.url;
}

interface Caller {
  readonly token?: string;
  readonly identity?: { readonly cert: string; readonly key: string };
}

function get(url: string, caller: Caller = {}): Promise<{ status: number; body: string }> {
  const headers = caller.token === undefined ? {} : { authorization: `Bearer ${caller.token}` };
  return new Promise((resolve, reject) => {
    const options = { headers, agent: false, ca: ca.cert, ...caller.identity };
    const send = url.startsWith("https:") ? secureRequest : plainRequest;
    const asked = send(url, options, (response) => {
      let body = "";
      response.setEncoding("utf8");
      response.on("data", (text: string) => (body += text));
      response.on("end", () => resolve({ status: response.statusCode ?? 0, body }));
    });
    asked.on("error", reject);
    asked.end();
  });
}

describe("the side door", () => {
  it("shows everything to who has the token, and to others only whether the service is well", async () => {
    const url = await serve({ credentials: { tls: null, token: TOKEN } });
    expect(await get(`${url}/healthz`)).toEqual({ status: 200, body: '{"ok":true}\n' });
    expect((await get(`${url}/healthz`, { token: TOKEN })).body).toContain('"seats":3');
    for (const caller of [{}, { token: "another-token-of-16" }, { token: "" }]) {
      expect((await get(`${url}/metrics`, caller)).status).toBe(401);
      expect((await get(`${url}/elsewhere`, caller)).status).toBe(401);
    }
    const metrics = await get(`${url}/metrics`, { token: TOKEN });
    expect(metrics.status).toBe(200);
    expect(metrics.body).toContain("# HELP skein_actor_");
  });

  it("is encrypted where the run is", async () => {
    const url = await serve({ credentials: { tls, token: null } });
    expect(url).toMatch(/^https:/);
    expect((await get(`${url}/metrics`)).status).toBe(200);
    await expect(get(url.replace("https:", "http:"))).rejects.toThrow();
  });

  it("shows metrics to certificates of the authority alone, where certificates are mutual", async () => {
    const url = await serve({ credentials: { tls, token: null }, mutual: true });
    expect(await get(`${url}/healthz`)).toEqual({ status: 200, body: '{"ok":true}\n' });
    expect((await get(`${url}/metrics`)).status).toBe(401);
    const stranger = issue(authority("a stranger"), ["prometheus"]);
    expect((await get(`${url}/metrics`, { identity: stranger })).status).toBe(401);
    expect((await get(`${url}/metrics`, { identity: issue(ca, ["prometheus"]) })).status).toBe(200);
  });

  it("wants both where the run has both", async () => {
    const url = await serve({ credentials: { tls, token: TOKEN }, mutual: true });
    const identity = issue(ca, ["prometheus"]);
    expect((await get(`${url}/metrics`, { identity })).status).toBe(401);
    expect((await get(`${url}/metrics`, { token: TOKEN })).status).toBe(401);
    expect((await get(`${url}/metrics`, { identity, token: TOKEN })).status).toBe(200);
  });
});
