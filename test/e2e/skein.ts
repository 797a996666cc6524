/** Runs the built `skein` command as a user would: real processes, a folder of its own, nothing left behind. */
import { spawn } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";
import { stringify } from "yaml";
import type { FinishedEvent, ListeningEvent, NoticeEvent, RunEvent } from "../../core/progress.js";

/** By the package's own name: the same file, wherever the compiled test lies. */
export const ROOT = dirname(createRequire(import.meta.url).resolve("skein/package.json"));
export const MAIN = join(ROOT, "dist/cli/main.js");

/** What `import … from "skein"` is to a user's module. */
export const PACKAGE = pathToFileURL(join(ROOT, "dist/core/index.js")).href;

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** One running command. */
export class Skein {
  readonly events: RunEvent[] = [];
  readonly ended: Promise<Ended>;
  readonly pid: number;
  private readonly listeners = new Set<() => void>();
  private over = false;

  /** `under`: a command, with its first arguments, that starts another: `env NAME=value`, `ip netns exec name`. */
  constructor(args: readonly string[], cwd: string, under: readonly string[] = []) {
    const [command, ...rest] = [...under, process.execPath, MAIN, ...args];
    const child = spawn(command!, rest, { cwd, stdio: ["ignore", "pipe", "pipe"] });
    this.pid = child.pid!;
    let stdout = "";
    let stderr = "";
    child.stderr.on("data", (data: Buffer) => (stderr += data.toString()));
    createInterface({ input: child.stdout }).on("line", (line) => {
      stdout += `${line}\n`;
      if (line.startsWith(`{"event"`)) this.events.push(JSON.parse(line) as RunEvent);
      for (const listener of [...this.listeners]) listener();
    });
    this.ended = new Promise((resolve) => {
      child.once("close", (code, signal) => {
        this.over = true;
        for (const listener of [...this.listeners]) listener();
        resolve({ code, signal, stdout, stderr });
      });
    });
  }

  /** The first event that fits, past or to come; throws where the command ends without one. */
  async event<T extends RunEvent>(fits: (event: RunEvent) => event is T): Promise<T> {
    for (;;) {
      const found = this.events.find(fits);
      if (found !== undefined) return found;
      if (this.over)
        throw new Error(`the command ended without the event; notices: ${JSON.stringify(this.notices)}`);
      await new Promise<void>((resolve) => {
        const listener = (): void => {
          this.listeners.delete(listener);
          resolve();
        };
        this.listeners.add(listener);
      });
    }
  }

  async version(atLeast: number): Promise<void> {
    await this.event(
      (event): event is RunEvent => event.event === "progress" && event.policyVersion >= atLeast,
    );
  }

  /** The nth service of a role to come up, from 0. */
  async listening(role: ListeningEvent["role"], nth = 0): Promise<ListeningEvent> {
    let seen = 0;
    const ids = new Map<RunEvent, number>();
    return this.event((event): event is ListeningEvent => {
      if (event.event !== "listening" || event.role !== role) return false;
      if (!ids.has(event)) ids.set(event, seen++);
      return ids.get(event) === nth;
    });
  }

  signal(signal: NodeJS.Signals): void {
    process.kill(this.pid, signal);
  }

  get notices(): NoticeEvent[] {
    return this.events.filter((event): event is NoticeEvent => event.event === "notice");
  }

  get last(): RunEvent | undefined {
    return this.events[this.events.length - 1];
  }
}

/** A folder with a small, quick run file; commands started in it die with it. */
export class Workplace {
  private readonly running = new Set<Skein>();

  private constructor(readonly folder: string) {}

  static async create(): Promise<Workplace> {
    return new Workplace(await mkdtemp(join(tmpdir(), "skein-e2e-")));
  }

  /** Writes `name` with a small CartPole run, changed as told. */
  async runFile(change: Readonly<Record<string, unknown>> = {}, name = "run.yaml"): Promise<string> {
    const run = {
      run: { name: "small" },
      environment: { id: "CartPole-v1" },
      recipe: { params: { batchSteps: 256, epochs: 2, minibatches: 2, learningRate: 0.001 } },
      model: { hidden: [16] },
      actors: { processes: 2, environments: 4, fragmentSteps: 32 },
      learner: { checkpointEvery: 5 },
      coordinator: { heartbeatSeconds: 0.2, leaseSeconds: 2 },
      stop: { envSteps: 20_000 },
      ...change,
    };
    await writeFile(join(this.folder, name), stringify(run));
    return name;
  }

  async write(name: string, text: string): Promise<void> {
    await writeFile(join(this.folder, name), text);
  }

  start(...args: string[]): Skein {
    const skein = new Skein(args, this.folder);
    this.running.add(skein);
    void skein.ended.then(() => this.running.delete(skein));
    return skein;
  }

  async run(...args: string[]): Promise<Ended & { readonly events: readonly RunEvent[] }> {
    const skein = this.start(...args);
    return { ...(await skein.ended), events: skein.events };
  }

  /** Paths of the run folders made so far. */
  async runFolders(): Promise<string[]> {
    const names = await readdir(join(this.folder, "runs")).catch((): string[] => []);
    return names.sort().map((name) => join("runs", name));
  }

  async read(...path: string[]): Promise<string> {
    return readFile(join(this.folder, ...path), "utf8");
  }

  async list(...path: string[]): Promise<string[]> {
    return (await readdir(join(this.folder, ...path))).sort();
  }

  async clear(): Promise<void> {
    for (const skein of this.running) {
      skein.signal("SIGTERM");
      skein.signal("SIGTERM");
      await skein.ended;
    }
    await rm(this.folder, { recursive: true, force: true });
  }
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Resolves when none of the processes is alive; throws after ten seconds, naming those that are. */
export async function allGone(pids: readonly number[]): Promise<void> {
  const deadline = performance.now() + 10_000;
  for (;;) {
    const alive = pids.filter(isAlive);
    if (alive.length === 0) return;
    if (performance.now() > deadline) throw new Error(`still alive after 10 s: ${alive.join(", ")}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

export function finishedOf(event: RunEvent | undefined): FinishedEvent {
  if (event?.event !== "finished")
    throw new Error(`expected the last event to be finished, got ${JSON.stringify(event)}`);
  return event;
}
