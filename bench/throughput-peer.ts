/** A PPO in Python that prints `SPS: <environment steps per second since its start>`, as CleanRL's ppo.py does. */
import { fileURLToPath } from "node:url";
import { SkeinError } from "../core/errors.js";
import { LineProcess } from "./lines.js";

const FIRST_SECONDS = 300;
const NEXT_SECONDS = 60;

export interface ThroughputPeer {
  readonly name: string;
  /** In bench/peers. */
  readonly program: string;
  readonly args: readonly string[];
}

/** Its last number once it has trained for `seconds`. Throws UNAVAILABLE, saying why, where it cannot run. */
export async function measurePeer(
  { name, program, args }: ThroughputPeer,
  python: string,
  cwd: string,
  seconds: number,
): Promise<number> {
  const path = fileURLToPath(new URL(`../../bench/peers/${program}`, import.meta.url));
  const lines = new LineProcess(`${name} by ${python}`, python, ["-u", path, ...args], cwd);
  const sps = async (within: number): Promise<number> => {
    const deadline = performance.now() + within * 1000;
    while (performance.now() < deadline) {
      const match = /^SPS: (\d+)/.exec(await lines.next(within));
      if (match !== null) return Number(match[1]);
    }
    throw new SkeinError("UNAVAILABLE", `${name}: no line "SPS: …" for ${within} s`);
  };
  try {
    let latest = await sps(FIRST_SECONDS);
    const end = performance.now() + seconds * 1000;
    while (performance.now() < end) latest = await sps(NEXT_SECONDS);
    return latest;
  } finally {
    await lines.close();
  }
}
