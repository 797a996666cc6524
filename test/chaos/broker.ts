/** A NATS server of the tests: its queues on disk, killed and started again on the same port. */
import { spawn, type ChildProcess } from "node:child_process";
import { connect, createServer, type AddressInfo } from "node:net";
import { until } from "./until.js";

const START_MS = 15_000;

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function answers(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, host);
    const end = (there: boolean): void => {
      socket.destroy();
      resolve(there);
    };
    socket.once("data", () => end(true));
    socket.once("error", () => end(false));
    socket.once("close", () => end(false));
  });
}

export class Broker {
  private child: ChildProcess | null = null;

  private constructor(
    private readonly host: string,
    private readonly port: number,
    private readonly folder: string,
  ) {}

  static async start(folder: string, host = "127.0.0.1"): Promise<Broker> {
    const broker = new Broker(host, await freePort(), folder);
    await broker.restart();
    return broker;
  }

  get address(): string {
    return `${this.host}:${this.port}`;
  }

  get pid(): number {
    return this.child?.pid ?? 0;
  }

  /** Starts it where it is not running; throws where it does not answer. */
  async restart(): Promise<void> {
    const args = ["-js", "-a", this.host, "-p", String(this.port), "-sd", this.folder];
    this.child = spawn("nats-server", args, { stdio: "ignore" });
    await until(() => answers(this.host, this.port), AbortSignal.timeout(START_MS));
  }

  async kill(): Promise<void> {
    const { child } = this;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await gone;
  }
}
