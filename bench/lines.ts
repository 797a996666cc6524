/** A child process that speaks in lines. Every wait for one has a deadline; a dead child says why it died. */
import { spawn, type ChildProcessWithoutNullStreams } from "node:child_process";
import { createInterface } from "node:readline";
import { SkeinError } from "../core/errors.js";
import { SERVICE_FLAGS } from "../core/services.js";

/** How long a child may take to leave once it is told to. */
const LEAVE_MS = 30_000;
const STDERR_CHARACTERS = 10_000;

export class LineProcess {
  private readonly child: ChildProcessWithoutNullStreams;
  private readonly gone: Promise<void>;
  private readonly pending: string[] = [];
  private wake: () => void = () => undefined;
  private stderr = "";
  private ending: string | null = null;

  /** `what` names it in messages. */
  constructor(
    private readonly what: string,
    command: string,
    args: readonly string[],
    cwd?: string,
  ) {
    this.child = spawn(command, args, { stdio: "pipe", ...(cwd === undefined ? {} : { cwd }) });
    this.child.stderr.on("data", (data: Buffer) => {
      this.stderr = (this.stderr + data.toString()).slice(-STDERR_CHARACTERS);
    });
    // A child that dies while it is written to is told of by its end.
    this.child.stdin.on("error", () => undefined);
    createInterface({ input: this.child.stdout }).on("line", (line) => {
      this.pending.push(line);
      this.wake();
    });
    this.gone = new Promise((resolve) => {
      const end = (how: string): void => {
        this.ending ??= how;
        this.wake();
        resolve();
      };
      this.child.once("error", (error) => end(error.message));
      this.child.once("close", (code, signal) => end(this.lastWords() || `it ended with ${signal ?? code}`));
    });
  }

  /** Node with what services run with; `args` begin with the script. */
  static node(what: string, args: readonly string[], cwd?: string): LineProcess {
    return new LineProcess(what, process.execPath, [...SERVICE_FLAGS, ...args], cwd);
  }

  write(line: string): void {
    this.child.stdin.write(`${line}\n`);
  }

  /** The next line. Throws UNAVAILABLE where the process is gone, or silent for `seconds`. */
  async next(seconds: number): Promise<string> {
    const deadline = performance.now() + seconds * 1000;
    for (;;) {
      const line = this.pending.shift();
      if (line !== undefined) return line;
      if (this.ending !== null) throw new SkeinError("UNAVAILABLE", `${this.what}: ${this.ending}`);
      const left = deadline - performance.now();
      if (left <= 0) {
        throw new SkeinError("UNAVAILABLE", `${this.what}: no line for ${seconds} s; is the machine busy?`);
      }
      await this.changeWithin(left);
    }
  }

  /** Ends it and waits until it is gone. */
  async close(): Promise<void> {
    this.child.kill("SIGTERM");
    const kill = setTimeout(() => this.child.kill("SIGKILL"), LEAVE_MS);
    await this.gone;
    clearTimeout(kill);
  }

  private async changeWithin(ms: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.wake = resolve;
      timer = setTimeout(resolve, ms);
    });
    clearTimeout(timer);
  }

  private lastWords(): string {
    return this.stderr.trim().split("\n").pop() ?? "";
  }
}
