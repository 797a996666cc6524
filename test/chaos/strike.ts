/** One fault, carried out. Faults that last are over when `strike` resolves. */
import { open, stat, truncate } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { listCheckpoints } from "../../core/weights/checkpoint.js";
import { isAlive } from "../e2e/skein.js";
import { processesOf } from "./leftovers.js";
import type { Fault, Victim } from "./schedule.js";
import type { Site } from "./site.js";
import { shiftClock } from "./stages.js";
import { until } from "./until.js";

/** As an init system would. */
const BROKER_RESTART_MS = 1000;

/** The newest process of a role; the outsider is nobody's victim. */
async function pidOf(site: Site, whom: Victim, signal: AbortSignal): Promise<number> {
  if (whom === "supervisor") return site.skein.pid;
  if (whom === "broker") {
    if (site.broker === null) throw new Error("there is no broker to strike");
    return site.broker.pid;
  }
  const newest = (): number =>
    site.skein.events.reduce(
      (pid, event) => (event.event === "listening" && event.role === whom ? event.pid : pid),
      0,
    );
  await until(() => isAlive(newest()), signal);
  return newest();
}

async function kill(site: Site, whom: Victim, pid: number, signal: AbortSignal): Promise<void> {
  if (whom === "broker") {
    await site.broker!.kill();
    await pause(BROKER_RESTART_MS);
    await site.broker!.up();
    return;
  }
  process.kill(pid, "SIGKILL");
  await until(() => !isAlive(pid), signal);
  if (whom !== "supervisor") return;
  await until(async () => (await processesOf(site.place)).length === 0, signal);
  site.start(true);
}

async function damageNewestCheckpoint(site: Site, how: "truncate" | "flip"): Promise<void> {
  const path = (await listCheckpoints(join(await site.runFolder(), "checkpoints"))).pop();
  if (path === undefined) throw new Error("there is no checkpoint to damage");
  const { size } = await stat(path);
  if (how === "truncate") return truncate(path, size - 1000);
  const file = await open(path, "r+");
  try {
    const byte = Buffer.alloc(1);
    const where = size - 1000;
    await file.read(byte, 0, 1, where);
    byte[0]! ^= 1;
    await file.write(byte, 0, 1, where);
  } finally {
    await file.close();
  }
}

/** `frozen`: a process that stands at a stage; a fault on its role is one on it. */
export async function strike(
  site: Site,
  fault: Fault,
  frozen: { readonly role: Victim; readonly pid: number } | null,
  signal: AbortSignal,
): Promise<void> {
  const last = (seconds: number): Promise<unknown> =>
    Promise.race([pause(1000 * seconds, undefined, { signal }), site.skein.ended]);
  const victim = async (whom: Victim): Promise<number> =>
    frozen?.role === whom ? frozen.pid : pidOf(site, whom, signal);
  switch (fault.kind) {
    case "kill":
      return kill(site, fault.whom, await victim(fault.whom), signal);
    case "stop": {
      const pid = await victim(fault.whom);
      process.kill(pid, "SIGSTOP");
      await last(fault.seconds);
      if (isAlive(pid)) process.kill(pid, "SIGCONT");
      return;
    }
    case "hold":
      site.proxy(fault.wire).hold();
      await last(fault.seconds);
      return site.proxy(fault.wire).release();
    case "cut":
      return site.proxy(fault.wire).cut();
    case "slow":
      site.proxy(fault.wire).limit(fault.bytesPerSecond);
      await last(fault.seconds);
      return site.proxy(fault.wire).limit(Number.POSITIVE_INFINITY);
    case "flip": {
      const proxy = site.proxy(fault.wire);
      const before = proxy.flipped;
      proxy.flip(fault.pieces);
      return until(() => proxy.flipped === before + fault.pieces, signal);
    }
    case "unplug":
      await site.network!.plug(false);
      await last(fault.seconds);
      return site.network!.plug(true);
    case "fillDisk":
      await site.disk!.fill(fault.leaveBytes);
      await last(fault.seconds);
      return site.disk!.empty();
    case "shiftClock":
      return shiftClock(site.place, fault.whom, fault.seconds);
    case "damageCheckpoint":
      return damageNewestCheckpoint(site, fault.how);
  }
}
