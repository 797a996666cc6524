/**
 * A NATS server of this run's own, on this machine alone: its settings, its store and its log lie in the run folder.
 * Always: it ends with the process that started it, however that ends; it is started again on the same port and store
 * when it dies.
 */
import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdir, open, writeFile } from "node:fs/promises";
import { connect, createServer, type AddressInfo } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { RunConfig } from "../../core/config/schema.js";
import { messageOf, SkeinError } from "../../core/errors.js";
import { readCredentials } from "../../core/security/credentials.js";
import { describeEnd } from "./child.js";

const START_SECONDS = 20;
const RESTART_DELAY_MS = 200;
const MOST_RESTARTS = 20;
/** Bytes besides the rollouts that the server may store. */
const STORE_MARGIN = 64 * 1024 * 1024;
/** Oldest with consumers kept in memory. */
const NEEDED = [2, 9] as const;

/**
 * Runs nats-server and ends it when standard input ends: the one thing that is sure to happen when the process that
 * holds the other end is gone.
 */
const WITH_GUARD = `
exec 3<&0
nats-server -c "$1" </dev/null 3<&- &
server=$!
( read -r _ <&3; kill "$server" 2>/dev/null; sleep 10; kill -9 "$server" 2>/dev/null ) &
guard=$!
wait "$server"; code=$?
kill "$guard" 2>/dev/null
exit "$code"`;

/** What `nats-server --version` says: `v2.9.10`; null = there is none on the PATH. */
export function natsServerVersion(): string | null {
  const { error, stdout } = spawnSync("nats-server", ["--version"], { encoding: "utf8" });
  if (error !== undefined) return null;
  return /v\d+\.\d+\.\d+/.exec(stdout)?.[0] ?? stdout.trim();
}

/** What is wrong with the server that `version` names; null = nothing. */
export function natsServerComplaint(version: string | null): string | null {
  const advice = "or name one that runs elsewhere: transport.nats.url";
  if (version === null) {
    const how = "install nats-server (Debian, Ubuntu: apt-get install nats-server; others: nats.io/download)";
    return `no nats-server on the PATH: ${how}, ${advice}`;
  }
  const [major = 0, minor = 0] = version.replace(/^v/, "").split(".").map(Number);
  const isOld = major < NEEDED[0] || (major === NEEDED[0] && minor < NEEDED[1]);
  return isOld ? `nats-server ${version} is too old: install 2.9 or newer, ${advice}` : null;
}

export interface LocalNatsOptions {
  readonly config: RunConfig;
  readonly runFolder: string;
  readonly notice: (message: string) => void;
  /** It died too often. */
  readonly onLost: (error: SkeinError) => void;
}

export class LocalNatsServer {
  private child: ChildProcess | null = null;
  private stopping = false;
  private restarts = 0;

  private constructor(
    readonly url: string,
    private readonly port: number,
    private readonly configPath: string,
    private readonly logPath: string,
    private readonly options: LocalNatsOptions,
  ) {}

  /** Throws CONFIG_INVALID where there is no nats-server that will do, UNAVAILABLE where it does not start. */
  static async start(options: LocalNatsOptions): Promise<LocalNatsServer> {
    const complaint = natsServerComplaint(natsServerVersion());
    if (complaint !== null) {
      throw new SkeinError("CONFIG_INVALID", `transport.kind nats needs a NATS server: ${complaint}`);
    }
    const folder = join(options.runFolder, "nats");
    await mkdir(folder, { recursive: true });
    const port = await freePort();
    const configPath = join(folder, "nats.conf");
    // It may hold the run's token.
    await writeFile(configPath, await settingsOf(options.config, folder, port), { mode: 0o600 });
    const { tls } = options.config.security;
    const url = `${tls === null ? "nats" : "tls"}://127.0.0.1:${port}`;
    const logPath = join(options.runFolder, "logs", "nats.log");
    const server = new LocalNatsServer(url, port, configPath, logPath, options);
    await server.up();
    return server;
  }

  /** Ends it, in good order where it still can. */
  async stop(): Promise<void> {
    this.leave();
    if (this.child !== null) await once(this.child, "close");
  }

  /** `stop` without waiting. */
  leave(): void {
    this.stopping = true;
    this.child?.stdin?.end();
  }

  private async up(): Promise<void> {
    const log = await open(this.logPath, "a");
    const child = spawn("/bin/sh", ["-c", WITH_GUARD, "sh", this.configPath], {
      stdio: ["pipe", log.fd, log.fd],
      // A process group of its own: Ctrl-C reaches the supervisor alone, which ends it last.
      detached: true,
    });
    await log.close();
    child.stdin?.on("error", () => undefined);
    this.child = child;
    const ended = once(child, "close").then(([code, signal]) => {
      this.child = null;
      return describeEnd({ code: code as number | null, signal: signal as NodeJS.Signals | null });
    });
    const failed = await Promise.race([this.ready(), ended]);
    if (failed !== null) {
      throw new SkeinError("UNAVAILABLE", `the NATS server ${failed}; its log is ${this.logPath}`);
    }
    void ended.then((end) => this.onEnd(end));
  }

  /** Null once it greets; else what kept it. */
  private async ready(): Promise<string | null> {
    const deadline = performance.now() + 1000 * START_SECONDS;
    while (performance.now() < deadline) {
      if (await greets(this.port)) return null;
      await sleep(20);
    }
    this.leave();
    return `was not ready after ${START_SECONDS} s`;
  }

  private onEnd(end: string): void {
    if (this.stopping) return;
    this.restarts += 1;
    if (this.restarts > MOST_RESTARTS) {
      const message = `the NATS server ${end}, for the ${this.restarts}th time; its log is ${this.logPath}`;
      this.options.onLost(new SkeinError("PROCESS_DIED", message));
      return;
    }
    this.options.notice(`the NATS server ${end}; starting it again on ${this.url}, with what it has stored`);
    setTimeout(() => {
      if (this.stopping) return;
      this.up().catch((error: unknown) => this.onEnd(messageOf(error)));
    }, RESTART_DELAY_MS);
  }
}

/** The server's configuration file. */
async function settingsOf(config: RunConfig, folder: string, port: number): Promise<string> {
  const { tls, tokenFile } = config.security;
  const { token } = await readCredentials({ tls: null, tokenFile });
  const { maxBytes } = config.transport.nats;
  const quoted = JSON.stringify;
  return [
    `listen: "127.0.0.1:${port}"`,
    `pid_file: ${quoted(join(folder, "nats.pid"))}`,
    // A frame of the largest transport.chunkBytes with its headers.
    "max_payload: 2MB",
    `jetstream { store_dir: ${quoted(join(folder, "store"))}, max_file_store: ${maxBytes + STORE_MARGIN} }`,
    ...(token === null ? [] : [`authorization { token: ${quoted(token)} }`]),
    ...(tls === null
      ? []
      : [
          `tls { cert_file: ${quoted(tls.cert)}, key_file: ${quoted(tls.key)}, ca_file: ${quoted(tls.ca)}, ` +
            `verify: ${tls.mutual} }`,
        ]),
    "",
  ].join("\n");
}

async function freePort(): Promise<number> {
  const probe = createServer();
  probe.listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, "close");
  return port;
}

/** Whether somebody listens on `port` and speaks first, as NATS servers do. */
function greets(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    const end = (result: boolean): void => {
      socket.destroy();
      resolve(result);
    };
    socket.once("data", () => end(true));
    socket.once("error", () => end(false));
    socket.once("close", () => resolve(false));
  });
}
