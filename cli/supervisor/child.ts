/** One supervised service process: its events, its log, its end. */
import { spawn, type ChildProcess } from "node:child_process";
import { createWriteStream, type WriteStream } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { NoticeEvent, RunEvent } from "../../core/progress.js";
import { SERVICE_FLAGS } from "../../core/services.js";

const SKEIN = fileURLToPath(new URL("../main.js", import.meta.url));

export interface ChildEnd {
  /** null where a signal ended it. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export class Child {
  /** Resolves, never rejects, once the process is gone and its output read. */
  readonly ended: Promise<ChildEnd>;
  /** The error the process reported before it ended, if any. */
  failure: NoticeEvent | null = null;
  private readonly process: ChildProcess;
  private readonly log: WriteStream;
  private end: ChildEnd | null = null;
  private readonly startedAt = performance.now();

  /** Starts `skein <args> --json`; `onEvent` gets its events. stderr goes to `logPath`. */
  constructor(
    readonly name: string,
    args: readonly string[],
    logPath: string,
    onEvent: (event: RunEvent) => void,
  ) {
    this.log = createWriteStream(logPath, { flags: "a" });
    this.log.on("error", () => undefined);
    // A process group of its own: Ctrl-C reaches the supervisor alone, which ends its children in order.
    // The IPC channel carries no messages: its closing tells the child that the supervisor is gone.
    this.process = spawn(process.execPath, [...SERVICE_FLAGS, SKEIN, ...args, "--json"], {
      stdio: ["ignore", "pipe", "pipe", "ipc"],
      detached: true,
    });
    this.process.stderr?.pipe(this.log);
    const lines = this.process.stdout === null ? null : createInterface({ input: this.process.stdout });
    lines?.on("line", (line) => this.take(line, onEvent));
    this.ended = new Promise((resolve) => {
      this.process.once("close", (code, signal) => {
        this.end = { code, signal };
        this.log.end();
        resolve(this.end);
      });
      this.process.once("error", (error) => {
        this.failure ??= {
          event: "notice",
          level: "error",
          message: `cannot start ${name}: ${error.message}`,
        };
        this.end = { code: 1, signal: null };
        resolve(this.end);
      });
    });
  }

  get pid(): number | null {
    return this.process.pid ?? null;
  }

  get alive(): boolean {
    return this.end === null;
  }

  /** Since it was started. */
  get milliseconds(): number {
    return performance.now() - this.startedAt;
  }

  /** Asks the process to finish. */
  terminate(): void {
    if (this.alive) this.process.kill("SIGTERM");
  }

  /** Ends the process at once. */
  kill(): void {
    if (this.alive) this.process.kill("SIGKILL");
  }

  private take(line: string, onEvent: (event: RunEvent) => void): void {
    let event: RunEvent;
    try {
      event = JSON.parse(line) as RunEvent;
    } catch {
      this.log.write(`${line}\n`);
      return;
    }
    if (event.event === "notice" && event.level === "error") this.failure = event;
    else onEvent(event);
  }
}

/** `was killed by SIGKILL`, `ended with exit code 1`. */
export function describeEnd({ code, signal }: ChildEnd): string {
  return signal === null ? `ended with exit code ${code ?? "unknown"}` : `was killed by ${signal}`;
}
