/** Stages on their way between a schedule and the hook in the services' processes. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL, fileURLToPath } from "node:url";
import type { Service, Stage } from "./schedule.js";
import { until } from "./until.js";

export interface PlacedStage extends Stage {
  readonly id: string;
}

/** What `hook.json` holds. */
export interface HookOrders {
  readonly stages: readonly PlacedStage[];
  /** Services whose clock can be shifted. */
  readonly clocks: readonly Service[];
}

/** The variables that load the hook into a process and all that it starts, as `env` takes them. */
export function hookVariables(place: string): string[] {
  const url = pathToFileURL(fileURLToPath(new URL("./hook.js", import.meta.url)));
  url.searchParams.set("place", place);
  return [`NODE_OPTIONS=--import=${url.href}`];
}

export async function giveOrders(place: string, orders: HookOrders): Promise<void> {
  await writeFile(join(place, "hook.json"), JSON.stringify(orders));
}

/** The process that stands at the stage, once one does. */
export async function reached(place: string, id: string, signal: AbortSignal): Promise<number> {
  const pid = async (): Promise<number> =>
    Number(await readFile(join(place, `${id}.hit`), "utf8").catch(() => "0"));
  await until(async () => (await pid()) > 0, signal);
  return pid();
}

export async function shiftClock(place: string, role: Service, seconds: number): Promise<void> {
  await writeFile(join(place, `clock-${role}`), String(seconds));
}
