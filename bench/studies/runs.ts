/** One run of a study: `skein train` as a user starts it. What a run gave is kept, so that a study goes on where it was stopped. */
import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { SkeinError } from "../../core/errors.js";
import type { ProgressEvent, RunEvent } from "../../core/progress.js";
import { LineProcess } from "../lines.js";
import type { RunFile } from "./study.js";

const MAIN = fileURLToPath(new URL("../../cli/main.js", import.meta.url));
/** Between two events of a run that is not stuck. */
const EVENT_SECONDS = 300;

function isObject(value: unknown): value is RunFile {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** `over` laid over `base`, key by key. */
export function laidOver(base: RunFile, over: RunFile): RunFile {
  const result: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(over)) {
    const below = result[key];
    result[key] = isObject(below) && isObject(value) ? laidOver(below, value) : value;
  }
  return result;
}

/** Runs to its end; `progress` is told how far it is. Throws UNAVAILABLE with what it said where it fails. */
async function train(runFile: RunFile, progress: (event: ProgressEvent) => void): Promise<ProgressEvent[]> {
  const folder = await mkdtemp(join(tmpdir(), "skein-study-"));
  const path = join(folder, "run.yaml");
  await writeFile(path, JSON.stringify(runFile));
  const lines = LineProcess.node("skein train", [MAIN, "train", path, "--json"], folder);
  const events: ProgressEvent[] = [];
  let notice = "";
  try {
    for (;;) {
      const event = JSON.parse(await lines.next(EVENT_SECONDS)) as RunEvent;
      if (event.event === "notice" && event.level !== "info") notice = event.message;
      if (event.event === "progress") {
        events.push(event);
        progress(event);
      }
      if (event.event !== "finished") continue;
      if (!["solved", "steps"].includes(event.reason) || events.length === 0) {
        throw new SkeinError(
          "UNAVAILABLE",
          `skein train: expected a run to its end, got one that ${event.reason}; it said: ${notice || "nothing"}`,
        );
      }
      return events;
    }
  } finally {
    await lines.close();
    await rm(folder, { recursive: true, force: true });
  }
}

export class RunStore {
  constructor(private readonly folder: string) {}

  /** What a run of this file gave: kept, or run now. */
  async get(runFile: RunFile, progress: (event: ProgressEvent) => void): Promise<readonly ProgressEvent[]> {
    const key = createHash("sha256").update(JSON.stringify(runFile)).digest("hex").slice(0, 24);
    const path = join(this.folder, `${key}.json`);
    try {
      return JSON.parse(await readFile(path, "utf8")) as ProgressEvent[];
    } catch {
      const events = await train(runFile, progress);
      await mkdir(this.folder, { recursive: true });
      await writeFile(path, JSON.stringify(events));
      return events;
    }
  }
}
