/** The NATS server that `skein train` starts: real, restarted with its store, gone with whoever started it. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "nats";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { LocalNatsServer, natsServerComplaint } from "../../cli/supervisor/nats-server.js";
import { parseRunConfig } from "../../core/config/load.js";
import { natsMissing } from "../nats-server.js";
import { eventually } from "../transport/helpers.js";

if (natsMissing !== null) process.stderr.write(`the run's own NATS server: ${natsMissing}\n`);

describe("the NATS server that is needed", () => {
  it("has to be there, and of version 2.9 or newer", () => {
    expect(natsServerComplaint(null)).toMatch(
      /^no nats-server on the PATH: install nats-server .*nats\.url$/,
    );
    expect(natsServerComplaint("v2.8.4")).toMatch(/^nats-server v2\.8\.4 is too old: install 2\.9 or newer/);
    for (const version of ["v2.9.0", "v2.10.1", "v3.0.0"]) expect(natsServerComplaint(version)).toBeNull();
  });
});

describe.skipIf(natsMissing !== null)("the run's own NATS server", () => {
  let runFolder: string;
  let server: LocalNatsServer | null = null;
  let notices: string[];

  beforeEach(() => {
    runFolder = mkdtempSync(join(tmpdir(), "skein-run-"));
    mkdirSync(join(runFolder, "logs"));
    notices = [];
  });
  afterEach(async () => {
    await server?.stop();
    rmSync(runFolder, { recursive: true, force: true });
  });

  async function start(): Promise<LocalNatsServer> {
    const config = parseRunConfig({ environment: { id: "CartPole-v1" } }, "a test");
    const notice = (message: string): void => void notices.push(message);
    server = await LocalNatsServer.start({ config, runFolder, notice, onLost: () => undefined });
    return server;
  }

  const pid = (): number => Number(readFileSync(join(runFolder, "nats", "nats.pid"), "utf8"));

  function alive(id: number): boolean {
    try {
      return process.kill(id, 0);
    } catch {
      return false;
    }
  }

  it("is started again on the same port with what it has stored", async () => {
    const { url } = await start();
    const first = pid();
    const before = await connect({ servers: url });
    const manager = await before.jetstreamManager();
    await manager.streams.add({ name: "kept", subjects: ["kept"] });
    await before.jetstream().publish("kept", "a message");
    await before.close();
    process.kill(first, "SIGKILL");
    await eventually("the notice", () => notices.length === 1);
    expect(notices[0]).toMatch(/starting it again on nats:\/\/127\.0\.0\.1:\d+, with what it has stored$/);
    const after = await connect({ servers: url, waitOnFirstConnect: true, reconnectTimeWait: 20 });
    const again = await after.jetstreamManager();
    expect((await again.streams.info("kept")).state.messages).toBe(1);
    await after.close();
    expect(pid()).not.toBe(first);
  });

  it("ends when it is told to, and when whoever started it says nothing any more", async () => {
    await start();
    const running = pid();
    expect(alive(running)).toBe(true);
    // What the end of the other process does: the pipe to the server's guard closes.
    server?.leave();
    await eventually("its end", () => !alive(running));
    await server?.stop();
    expect(notices).toEqual([]);
  });
});
