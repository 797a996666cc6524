/** Receivers of weights, several in one process, as real actors follow and hand on; each keeps one version. */
import { createInterface } from "node:readline";
import { runConfigSchema } from "../core/config/schema.js";
import { OPEN } from "../core/security/credentials.js";
import { steadySeconds } from "../core/services.js";
import { createLogger } from "../core/telemetry/logger.js";
import { createActorMetrics } from "../core/telemetry/metrics.js";
import { createTransport } from "../core/transport/create.js";
import { WeightsFollower } from "../core/weights/follower.js";
import { WeightsRelay } from "../core/weights/relay.js";
import { WeightsShelf } from "../core/weights/shelf.js";

export interface ReceiversOptions {
  /** The coordinator's address. */
  readonly coordinator: string;
  readonly receivers: number;
  /** Others that each serves at most; 0 = it does not relay. */
  readonly fanOut: number;
}

export type ReceiversLine =
  /** All of them have that version, verified; `at` = Unix milliseconds. */
  | { readonly is: "have"; readonly version: number; readonly at: number }
  | { readonly is: "done"; readonly peakMiB: number; readonly fallbacks: number };

function say(line: ReceiversLine): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

async function main({ coordinator, receivers, fanOut }: ReceiversOptions): Promise<void> {
  const { transport: wires, weights } = runConfigSchema
    .pick({ transport: true, weights: true })
    .parse({ transport: {}, weights: {} });
  const metrics = createActorMetrics({ processMetrics: false });
  const log = createLogger({ role: "actor", level: "warn" });
  const stop = new AbortController();
  const have = new Map<number, number>();
  let fallbacks = 0;
  const counting = { ...metrics, relayFallbacks: { inc: () => (fallbacks += 1) } };
  const received = (version: number): void => {
    const count = (have.get(version) ?? 0) + 1;
    have.set(version, count);
    if (count === receivers) say({ is: "have", version, at: performance.timeOrigin + performance.now() });
  };
  const follow = async (): Promise<void> => {
    const transport = createTransport(wires, OPEN);
    const control = transport.connectControl(coordinator);
    const relay = new WeightsRelay(new WeightsShelf(1, weights), metrics);
    const serving = fanOut === 0 ? null : await transport.serveWeights(relay, "127.0.0.1:0", fanOut);
    const connect = (address: string) => transport.connectWeights(address);
    const lines = { control, relay, relayAddress: serving?.address ?? "", connect };
    const follower = new WeightsFollower({ ...lines, metrics: counting, log, now: steadySeconds });
    for await (const { manifest } of follower.follow(stop.signal)) received(manifest.version);
    await transport.close();
  };
  const following = Array.from({ length: receivers }, follow);
  const orders = createInterface({ input: process.stdin });
  orders.once("line", () => stop.abort());
  await Promise.all(following);
  orders.close();
  say({ is: "done", peakMiB: process.resourceUsage().maxRSS / 1024, fallbacks });
}

await main(JSON.parse(process.argv[2] ?? "{}") as ReceiversOptions);
