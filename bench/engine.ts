/** `npm run bench -- engine`: what the network costs, beside PyTorch in the same run. */
import { availableParallelism } from "node:os";
import type { EngineChoice } from "../core/engine/select.js";
import { messageOf, SkeinError } from "../core/errors.js";
import { initialWeights } from "../core/model/init.js";
import { alternate, type Plan, type Side, type Timing } from "./alternate.js";
import { cases, MLP, type Case } from "./cases.js";
import { residentMemory } from "./memory.js";
import { Peer } from "./peer.js";
import { ratioTable, type Ratio } from "./report.js";
import { openWorkload, type Workload } from "./workload.js";

export interface EngineBenchOptions {
  readonly engine: EngineChoice;
  readonly python: string;
  /** Threads of either side; 0 = one for each core. */
  readonly threads: number;
  readonly repeats: number;
  /** The smallest size of each network, short blocks. */
  readonly quick: boolean;
  /** Only the rows whose name has this in it. */
  readonly only: string;
}

export interface BenchResult {
  readonly ratios: readonly Ratio[];
  /** false = something that was asked for could not be measured. */
  readonly ok: boolean;
}

interface Row extends Ratio {
  /** Milliseconds of the quickest block. */
  readonly best: readonly [number, number | null] | null;
}

type Say = (text: string) => void;

const MIB = "MiB at end / at start";

async function memoryRow(
  label: string,
  iterations: number,
  item: Case,
  { engine, threads }: EngineBenchOptions,
  iteration: (workload: Workload) => () => Promise<void>,
  say: Say,
): Promise<Row> {
  const workload = await openWorkload(item, engine, threads);
  try {
    const { start, middle, end } = await residentMemory(iterations, iteration(workload));
    const name = `memory over ${iterations.toLocaleString("en-US")} ${label} (${MIB})`;
    say(`${name}: ${start.toFixed(1)} → ${middle.toFixed(1)} → ${end.toFixed(1)}`);
    return { name, ours: end, peer: start, best: null };
  } finally {
    await workload.close();
  }
}

/** Measured first, while the process has held nothing larger. */
async function memoryRows(options: EngineBenchOptions, say: Say): Promise<Row[]> {
  const { quick, only } = options;
  const item = (task: Case["task"], sequences: number): Case => ({
    name: "memory",
    task,
    model: MLP,
    sequences,
    sequenceLength: 1,
    quick,
  });
  const updates = "mlp updates of 256 rows";
  const swaps = "weight swaps with a forward of 64 rows";
  const rows: Row[] = [];
  if (`memory ${updates}`.includes(only)) {
    const count = quick ? 100 : 10_000;
    rows.push(await memoryRow(updates, count, item("update", 256), options, (w) => () => w.once(), say));
  }
  if (`memory ${swaps}`.includes(only)) {
    const swap = ({ engine, model, once }: Workload): (() => Promise<void>) => {
      const { tensors } = initialWeights(model, 1);
      let version = 0;
      return async () => {
        engine.load({ version: ++version, tensors });
        await once();
      };
    };
    rows.push(await memoryRow(swaps, quick ? 100 : 1000, item("policy", 64), options, swap, say));
  }
  return rows;
}

async function timingRow(
  item: Case,
  { engine, threads }: EngineBenchOptions,
  peer: Peer | null,
  plan: Plan,
): Promise<Row> {
  const sides: Side[] = [await openWorkload(item, engine, threads)];
  try {
    if (peer !== null) sides.push(await peer.side(item));
    const counts = sides.map(({ parameters }) => parameters);
    if (new Set(counts).size > 1) {
      throw new SkeinError(
        "INTERNAL",
        `${item.name}: the networks differ: ${counts.join(" and ")} parameters`,
      );
    }
    const [ours, theirs] = (await alternate(sides, plan)) as [Timing, Timing | undefined];
    const ms = (seconds: number): number => seconds * 1000;
    return {
      name: `${item.name} (ms)`,
      ours: ms(ours.median),
      peer: theirs === undefined ? null : ms(theirs.median),
      best: [ms(ours.best), theirs === undefined ? null : ms(theirs.best)],
    };
  } finally {
    for (const side of sides) await side.close();
  }
}

async function describeEngine({ engine, threads }: EngineBenchOptions): Promise<string> {
  const workload = await openWorkload(cases[0]!, engine, threads);
  await workload.close();
  return `engine ${workload.engine.id}: ${workload.detail}`;
}

async function startPeer(python: string, threads: number, say: Say): Promise<Peer | null> {
  try {
    const peer = await Peer.start(python, threads);
    say(`peer ${peer.detail}`);
    return peer;
  } catch (error) {
    say(`no peer: ${messageOf(error)}`);
    return null;
  }
}

export async function benchEngine(options: EngineBenchOptions, say: Say): Promise<BenchResult> {
  const { python, threads, repeats, quick, only } = options;
  say(await describeEngine(options));
  const rows = await memoryRows(options, say);
  const plan: Plan = { repeats: quick ? 3 : repeats, blockSeconds: quick ? 0.05 : 0.3 };
  const chosen = cases.filter((item) => (item.quick || !quick) && item.name.includes(only));
  let ok = true;
  const peer =
    chosen.length === 0
      ? null
      : await startPeer(python, threads === 0 ? availableParallelism() : threads, say);
  try {
    for (const item of chosen) {
      try {
        rows.push(await timingRow(item, options, peer, plan));
      } catch (error) {
        ok = false;
        say(`${item.name}: ${messageOf(error)}`);
        rows.push({ name: `${item.name} (ms)`, ours: null, peer: null, best: null });
      }
    }
  } finally {
    await peer?.close();
  }
  const best = new Map(rows.map((row) => [row.name, row.best ?? []]));
  const header = ["Skein, best block", "PyTorch, best block"];
  const cells = ({ name }: Ratio): readonly (number | null)[] => {
    const [ours = null, theirs = null] = best.get(name)!;
    return [ours, theirs];
  };
  say(ratioTable(rows, "PyTorch", { header, cells }));
  return { ratios: rows, ok };
}
