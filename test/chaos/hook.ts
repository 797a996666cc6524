/**
 * Loaded into every process of a schedule (`node --import hook.js?place=<folder>`), before anything else. Stops the
 * process dead exactly at a stage: the kernel stops it within the very system call, so that what comes after the stage
 * has not begun. Shifts its clock when told. Reads what to do from `<folder>/hook.json`.
 */
import fs from "node:fs";
import fsPromises from "node:fs/promises";
import { createRequire, syncBuiltinESMExports } from "node:module";
import { basename, join } from "node:path";
import { isMainThread } from "node:worker_threads";
import type { HookOrders, PlacedStage } from "./stages.js";

const CLOCK_LOOK_MS = 50;

/** Once for all processes of the schedule: the one that makes the file is the one that stops. */
function stopDead(place: string, { id }: PlacedStage): void {
  const path = join(place, `${id}.hit`);
  try {
    fs.writeFileSync(path, String(process.pid), { flag: "wx" });
  } catch {
    return;
  }
  process.kill(process.pid, "SIGSTOP");
}

function after(milliseconds: number, act: () => void): void {
  if (milliseconds === 0) act();
  else setTimeout(act, milliseconds);
}

/** The logger writes each line with one call of writeSync on descriptor 2. */
function watchLines(stages: readonly PlacedStage[], stop: (stage: PlacedStage) => void): void {
  const left = stages.flatMap((stage) =>
    stage.at.kind === "line" ? [{ stage, at: stage.at, seen: 0, text: JSON.stringify(stage.at.line) }] : [],
  );
  if (left.length === 0) return;
  const cjs = createRequire(import.meta.url)("node:fs") as { writeSync: (...args: unknown[]) => number };
  const write = cjs.writeSync;
  cjs.writeSync = (...args) => {
    const written = write(...args);
    if (args[0] !== 2 || typeof args[1] !== "string") return written;
    for (const watched of left) {
      if (!args[1].includes(`"msg":${watched.text}`) || ++watched.seen !== watched.at.nth) continue;
      after(watched.at.laterMs, () => stop(watched.stage));
    }
    return written;
  };
}

/** A file of that name ending, opened to be written, is written by half. */
function watchFiles(stages: readonly PlacedStage[], stop: (stage: PlacedStage) => void): void {
  const left = stages.flatMap((stage) =>
    stage.at.kind === "file" ? [{ stage, at: stage.at, seen: 0 }] : [],
  );
  if (left.length === 0) return;
  const open = fsPromises.open.bind(fsPromises);
  fsPromises.open = async (...args) => {
    const handle = await open(...args);
    const name = basename(String(args[0]));
    for (const watched of left) {
      const fits = args[1] === "w" && name.endsWith(watched.at.suffix);
      if (!fits || ++watched.seen !== watched.at.nth) continue;
      const whole = handle.writeFile.bind(handle);
      handle.writeFile = async (data, ...rest) => {
        if (!(data instanceof Uint8Array)) throw new Error(`hook: expected bytes for ${name}`);
        // At a position of its own: a process that is let go on writes the file whole from its beginning.
        await handle.write(data, 0, data.length >> 1, 0);
        stop(watched.stage);
        return whole(data, ...rest);
      };
    }
    return handle;
  };
  syncBuiltinESMExports();
}

/** `<place>/clock-<role>` holds seconds that the wall clock is off by; the steady clock stays as it is. */
function watchClock(path: string): void {
  const RealDate = Date;
  const now = Date.now.bind(Date);
  let offsetMs = 0;
  class ShiftedDate extends RealDate {
    constructor(...args: readonly unknown[]) {
      if (args.length === 0) super(now() + offsetMs);
      else super(...(args as [number]));
    }
    static override now(): number {
      return now() + offsetMs;
    }
  }
  globalThis.Date = ShiftedDate as DateConstructor;
  const look = (): void => {
    try {
      offsetMs = 1000 * Number(fs.readFileSync(path, "utf8"));
    } catch {
      offsetMs = 0;
    }
  };
  setInterval(look, CLOCK_LOOK_MS).unref();
}

function start(place: string): void {
  const role = process.argv[2] ?? "";
  const orders = JSON.parse(fs.readFileSync(join(place, "hook.json"), "utf8")) as HookOrders;
  const stages = orders.stages.filter((stage) => stage.role === role);
  const stop = (stage: PlacedStage): void => stopDead(place, stage);
  watchLines(stages, stop);
  watchFiles(stages, stop);
  if (orders.clocks.some((clock) => clock === role)) watchClock(join(place, `clock-${role}`));
}

const place = new URL(import.meta.url).searchParams.get("place");
if (isMainThread && place !== null) start(place);
