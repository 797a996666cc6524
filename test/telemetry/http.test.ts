import { connect } from "node:net";
import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import { afterEach, describe, expect, it } from "vitest";
import { SkeinError } from "../../core/errors.js";
import { OPEN } from "../../core/security/credentials.js";
import { serveTelemetry, type TelemetryOptions, type TelemetryServer } from "../../core/telemetry/http.js";
import { createActorMetrics } from "../../core/telemetry/metrics.js";
import { parsePrometheus, valueOf } from "./prometheus.js";

const open: TelemetryServer[] = [];

async function serve(options: Partial<TelemetryOptions> = {}): Promise<TelemetryServer> {
  const server = await serveTelemetry({
    host: "127.0.0.1",
    port: 0,
    registry: createActorMetrics({ processMetrics: false }).registry,
    health: () => ({ ok: true, detail: {} }),
    security: OPEN,
    ...options,
  });
  open.push(server);
  return server;
}

afterEach(async () => {
  for (const server of open.splice(0)) await server.close();
});

describe("serveTelemetry", () => {
  it("answers GET /metrics with the registry's present values as Prometheus text", async () => {
    const metrics = createActorMetrics({ processMetrics: false });
    const { url } = await serve({ registry: metrics.registry });
    metrics.episodes.inc(12);
    const response = await fetch(`${url}/metrics?from=test`);
    expect(response.status).toBe(200);
    expect(response.headers.get("content-type")).toMatch(/^text\/plain; version=0\.0\.4/);
    expect(valueOf(parsePrometheus(await response.text()), "skein_actor_episodes_total")).toBe(12);
  });

  it("answers GET /healthz with 200 while healthy and 503 while not, with the detail", async () => {
    let ok = true;
    const { url } = await serve({ health: () => ({ ok, detail: { policyVersion: 7 } }) });
    const healthy = await fetch(`${url}/healthz`);
    expect(healthy.status).toBe(200);
    expect(await healthy.json()).toEqual({ ok: true, detail: { policyVersion: 7 } });
    ok = false;
    const sick = await fetch(`${url}/healthz`);
    expect(sick.status).toBe(503);
    expect(await sick.json()).toEqual({ ok: false, detail: { policyVersion: 7 } });
  });

  it("counts a health check that throws as not healthy", async () => {
    const { url } = await serve({
      health: () => {
        throw new Error("engine gone");
      },
    });
    const response = await fetch(`${url}/healthz`);
    expect(response.status).toBe(503);
    expect(await response.json()).toEqual({ ok: false, detail: { error: "engine gone" } });
  });

  it("answers 500 where the registry fails, and lives on", async () => {
    const registry = {
      contentType: "text/plain",
      metrics: () => Promise.reject(new Error("collector broke")),
    };
    const { url } = await serve({ registry });
    const response = await fetch(`${url}/metrics`);
    expect(response.status).toBe(500);
    expect(await response.text()).toContain("collector broke");
    expect((await fetch(`${url}/healthz`)).status).toBe(200);
  });

  it("answers 404 for other paths and 405 for other methods", async () => {
    const { url } = await serve();
    expect((await fetch(`${url}/`)).status).toBe(404);
    expect((await fetch(`${url}/metricsx`)).status).toBe(404);
    const posted = await fetch(`${url}/metrics`, { method: "POST", body: "x" });
    expect(posted.status).toBe(405);
    expect(posted.headers.get("allow")).toBe("GET");
  });

  it("picks a free port for port 0 and names it", async () => {
    const [one, other] = [await serve(), await serve()];
    expect(one.address).toMatch(/^127\.0\.0\.1:[1-9]\d*$/);
    expect(one.url).toBe(`http://${one.address}`);
    expect(other.address).not.toBe(one.address);
  });

  it("refuses a port in use with PORT_IN_USE, the address and a way out", async () => {
    const { address } = await serve();
    const error = await serve({ port: Number(address.split(":")[1]) }).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(SkeinError);
    expect(error).toMatchObject({ code: "PORT_IN_USE" });
    expect((error as SkeinError).message).toContain(address);
    expect((error as SkeinError).message).toContain("another port");
  });

  it("refuses an address that is not this machine's with CONFIG_INVALID", async () => {
    // 192.0.2.0/24 is set aside for documentation (RFC 5737).
    await expect(serve({ host: "192.0.2.1" })).rejects.toMatchObject({ code: "CONFIG_INVALID" });
  });

  it("closes at once although a client keeps its connection open", async () => {
    const server = await serve();
    const [host, port] = server.address.split(":");
    const idle = connect(Number(port), host);
    await once(idle, "connect");
    const busy = request(`${server.url}/metrics`, { headers: { connection: "keep-alive" } });
    busy.on("error", () => {});
    busy.end();
    const [response] = (await once(busy, "response")) as [IncomingMessage];
    response.resume();
    await once(response, "end");

    const ended = once(idle, "close");
    idle.on("error", () => {});
    idle.resume();
    await server.close();
    await ended;
    await expect(fetch(`${server.url}/healthz`)).rejects.toThrow();
    await server.close();
  });
});
