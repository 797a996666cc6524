/** Processes by what they were started with: also those whose parent is gone. */
import { readdir, readFile } from "node:fs/promises";

/** Living processes that have `place` among their environment's values; zombies have no environment. */
export async function processesOf(place: string): Promise<number[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(
    pids.map(async (pid) => {
      const environment = await readFile(`/proc/${pid}/environ`, "utf8").catch(() => "");
      return environment.includes(place) ? [Number(pid)] : [];
    }),
  );
  return found.flat();
}
