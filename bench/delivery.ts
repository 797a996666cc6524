/** `npm run bench -- delivery`: what delivering costs, of the whole: the same process over memory, gRPC and NATS. */
import { fileURLToPath } from "node:url";
import { messageOf } from "../core/errors.js";
import { markdownTable } from "../core/markdown.js";
import { median } from "./alternate.js";
import type { BenchResult } from "./engine.js";
import { LineProcess } from "./lines.js";
import { startNatsServer } from "./nats-server.js";
import type { Ratio } from "./report.js";
import type { TogetherOptions } from "./together.js";

export interface DeliveryOptions {
  readonly runFile: string;
  readonly set: readonly string[];
  readonly repeats: number;
  readonly seconds: number;
  readonly warmUpSeconds: number;
}

type Kind = TogetherOptions["kind"];
type Say = (text: string) => void;

const TOGETHER = fileURLToPath(new URL("./together.js", import.meta.url));
const KINDS: readonly Kind[] = ["memory", "grpc", "nats"];
/** Beyond the measured time: starting, compiling, leaving. */
const SPARE_SECONDS = 120;

async function rateOf(options: TogetherOptions): Promise<number> {
  const lines = LineProcess.node(`all over ${options.kind}`, [TOGETHER, JSON.stringify(options)]);
  try {
    const line = await lines.next(options.warmUpSeconds + options.seconds + SPARE_SECONDS);
    return (JSON.parse(line) as { readonly envStepsPerSecond: number }).envStepsPerSecond;
  } finally {
    await lines.close();
  }
}

export async function benchDelivery(options: DeliveryOptions, say: Say): Promise<BenchResult> {
  const { repeats, set, ...rest } = options;
  const rates = new Map<Kind, number[]>(KINDS.map((kind) => [kind, []]));
  const broker = await startNatsServer().catch((error: unknown) => {
    say(`no NATS: ${messageOf(error)}`);
    return null;
  });
  try {
    for (let repeat = 0; repeat < repeats; repeat++) {
      for (const kind of KINDS) {
        if (kind === "nats" && broker === null) continue;
        const url = kind === "nats" ? [`transport.nats.url=${broker!.url}`] : [];
        const rate = await rateOf({ ...rest, kind, set: [...set, ...url] });
        say(`${kind}: ${Math.round(rate)} env steps/s`);
        rates.get(kind)!.push(rate);
      }
    }
  } finally {
    await broker?.close();
  }
  const memory = median(rates.get("memory")!);
  const ratios = KINDS.slice(1).map((kind): Ratio => {
    const measured = rates.get(kind)!;
    return {
      name: `CartPole-v1 over ${kind} against memory, env-steps/s`,
      ours: measured.length === 0 ? null : median(measured),
      peer: memory,
    };
  });
  const rows = ratios.map(({ name, ours }) => [
    name,
    ours === null ? "–" : ours.toFixed(0),
    memory.toFixed(0),
    ours === null ? "–" : `${(100 * (1 - ours / memory)).toFixed(1)} %`,
  ]);
  say(markdownTable([["", "Over the wire", "In memory", "Lost to delivery"], ...rows]).join("\n"));
  return { ratios, ok: true };
}
