/** `npm run bench -- end-to-end`: environment steps per second on CartPole-v1, learning included. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { markdownTable } from "../core/markdown.js";
import { messageOf } from "../core/errors.js";
import { median } from "./alternate.js";
import type { BenchResult } from "./engine.js";
import { ratioTable, type Ratio } from "./report.js";
import { breakdown, total } from "./scrape.js";
import { measurePeer, type ThroughputPeer } from "./throughput-peer.js";
import { measureTraining, type Steady } from "./training-run.js";

export interface EndToEndOptions {
  readonly python: string;
  /** CleanRL's ppo.py; empty = that of the package `cleanrl` of this Python. */
  readonly cleanrl: string;
  readonly runFile: string;
  /** `key=value`, as for `skein train`. */
  readonly set: readonly string[];
  readonly repeats: number;
  /** Measured length of each run. */
  readonly seconds: number;
  readonly warmUpSeconds: number;
}

type Say = (text: string) => void;

function peersOf({ cleanrl }: EndToEndOptions): ThroughputPeer[] {
  return [
    { name: "CleanRL ppo.py", program: "cleanrl_ppo.py", args: cleanrl === "" ? [] : [cleanrl] },
    { name: "Stable-Baselines3 PPO", program: "sb3_ppo.py", args: [] },
  ];
}

/** Where each microsecond goes, over all repeats. */
function sayBreakdown(runs: readonly Steady[], envStepsPerSecond: number, say: Say): void {
  const parts = breakdown(total(runs.map(({ sums }) => sums)));
  const rows = parts
    .sort((a, b) => a.role.localeCompare(b.role) || b.microsecondsPerEnvStep - a.microsecondsPerEnvStep)
    .map(({ role, name, microsecondsPerEnvStep }) => [role, name, microsecondsPerEnvStep.toFixed(3)]);
  say(`wall time: ${(1e6 / envStepsPerSecond).toFixed(3)} µs per env step; of it, in each role:`);
  say(markdownTable([["role", "part", "µs per env step"], ...rows]).join("\n"));
}

async function inFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), "skein-bench-"));
  try {
    return await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

export async function benchEndToEnd(options: EndToEndOptions, say: Say): Promise<BenchResult> {
  const { python, runFile, set, repeats, seconds, warmUpSeconds } = options;
  const ours: Steady[] = [];
  const peers = peersOf(options).map((peer) => ({ peer, rates: [] as number[], missing: false }));
  for (let repeat = 0; repeat < repeats; repeat++) {
    const args = [runFile, ...set.flatMap((assignment) => ["--set", assignment])];
    const run = await inFolder((folder) => measureTraining(args, folder, { warmUpSeconds, seconds }));
    ours.push(run);
    say(
      `skein train: ${Math.round(run.envStepsPerSecond)} env steps/s, mean return ${run.meanReturn100.toFixed(1)}`,
    );
    for (const entry of peers) {
      if (entry.missing) continue;
      try {
        const rate = await inFolder((folder) => measurePeer(entry.peer, python, folder, seconds));
        entry.rates.push(rate);
        say(`${entry.peer.name}: ${rate} env steps/s`);
      } catch (error) {
        entry.missing = true;
        say(`no peer: ${messageOf(error)}`);
      }
    }
  }
  const rate = median(ours.map(({ envStepsPerSecond }) => envStepsPerSecond));
  sayBreakdown(ours, rate, say);
  const ratios = peers.map(({ peer, rates }): Ratio => ({
    name: `CartPole-v1 training against ${peer.name}, env-steps/s`,
    ours: rate,
    peer: rates.length === 0 ? null : median(rates),
  }));
  say(ratioTable(ratios, "peer", { header: [], cells: () => [] }));
  return { ratios, ok: true };
}
