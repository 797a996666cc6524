/** A real nats-server with JetStream for tests: in a folder of its own, on a port of its own, on this machine alone. */
import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";

/** Why there is no nats-server here; null = there is one. */
export const natsMissing: string | null =
  spawnSync("nats-server", ["--version"]).error === undefined
    ? null
    : "skipped: no nats-server on the PATH (Debian: apt-get install nats-server)";

export async function freePort(): Promise<number> {
  const probe = createServer();
  probe.listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, "close");
  return port;
}

export class NatsServer {
  private process: ChildProcess | null = null;

  private constructor(
    readonly port: number,
    private readonly folder: string,
    private readonly host: string,
  ) {}

  /** `settings` are lines of the server's configuration file besides port and store. */
  static async start(settings = "", host = "127.0.0.1", jetStream = true): Promise<NatsServer> {
    const server = new NatsServer(await freePort(), mkdtempSync(join(tmpdir(), "skein-nats-")), host);
    const lines = [
      `listen: "${host}:${server.port}"`,
      ...(jetStream ? [`jetstream { store_dir: "${join(server.folder, "store")}" }`] : []),
      settings,
    ];
    writeFileSync(join(server.folder, "nats.conf"), lines.join("\n"));
    await server.up();
    return server;
  }

  get url(): string {
    return `nats://${this.host}:${this.port}`;
  }

  /** 0 = it is down. */
  get pid(): number {
    return this.process?.pid ?? 0;
  }

  /** Starts it, with what its store holds. */
  async up(): Promise<void> {
    this.process = spawn("nats-server", ["-c", join(this.folder, "nats.conf")], { stdio: "ignore" });
    const deadline = performance.now() + 15_000;
    while (!(await accepts(this.host, this.port))) {
      if (performance.now() > deadline) throw new Error("nats-server did not start");
      await pause(10);
    }
  }

  async kill(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    const running = this.process;
    this.process = null;
    if (running === null) return;
    running.kill(signal);
    await once(running, "exit");
  }

  /** Stops it from doing anything, as a machine that hangs; `SIGCONT` lets it go on. */
  signal(signal: "SIGSTOP" | "SIGCONT"): void {
    this.process?.kill(signal);
  }

  /** Everything that it stored is gone. Only while it is down. */
  forget(): void {
    rmSync(join(this.folder, "store"), { recursive: true, force: true });
  }

  async stop(): Promise<void> {
    await this.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Whether somebody listens there and greets as a NATS server does. */
function accepts(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, host);
    const end = (result: boolean): void => {
      socket.destroy();
      resolve(result);
    };
    socket.once("data", () => end(true));
    socket.once("error", () => end(false));
    socket.once("close", () => resolve(false));
  });
}
