/** What the weights tests share: networks that change a little, a coordinator that keeps weights, real followers. */
import { createLogger } from "../../core/telemetry/logger.js";
import { createActorMetrics, type ActorMetrics } from "../../core/telemetry/metrics.js";
import { Random } from "../../core/random.js";
import type {
  Transport,
  WatchRequest,
  WeightsAnnouncement,
  WeightsDelivery,
  WeightsRequest,
} from "../../core/transport/transport.js";
import type { NamedTensor, WeightsSnapshot } from "../../core/types.js";
import { WeightsFollower } from "../../core/weights/follower.js";
import type { VerifiedWeights } from "../../core/weights/payload.js";
import { WeightsRelay } from "../../core/weights/relay.js";
import { WeightsShelf } from "../../core/weights/shelf.js";
import { WeightsRegistry, type RegistryOptions } from "../../services/coordinator/weights-registry.js";
import { SmallCoordinator } from "../transport/helpers.js";

export const SETTINGS = { deltas: true, anchorEvery: 1000, fanOut: 0 };

/** A small network whose numbers come from `seed`: one wide tensor, small ones, an empty one. */
export function network(version: number, seed: number, width = 96): WeightsSnapshot {
  const random = new Random(seed);
  const floats = (length: number): Float32Array => Float32Array.from({ length }, () => random.normal());
  return {
    version,
    tensors: [
      { name: "embed/weight", dtype: "float32", shape: [width / 4, 4], data: floats(width) },
      { name: "actor/bias", dtype: "float32", shape: [3], data: floats(3) },
      { name: "empty", dtype: "float32", shape: [0, 7], data: new Float32Array(0) },
      { name: "steps", dtype: "int32", shape: [], data: Int32Array.of(random.integer(1000)) },
    ],
  };
}

/** `from` with the first `entries` of every tensor drawn anew, at random places. */
export function changed(
  from: WeightsSnapshot,
  version: number,
  random: Random,
  entries: number,
): WeightsSnapshot {
  const tensors = from.tensors.map((tensor): NamedTensor => {
    const data = tensor.data.slice();
    for (let k = 0; k < Math.min(entries, data.length); k++) {
      data[random.integer(data.length)] = random.integer(1_000_000) / 8;
    }
    return { ...tensor, data };
  });
  return { version, tensors };
}

/** All numbers of a snapshot, byte by byte, hex: what must be the same at both ends. */
export function bytesOf({ version, tensors }: WeightsSnapshot): string {
  const parts = tensors.map(
    ({ data }) => new Uint8Array(data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength)),
  );
  return `${version} ${Buffer.concat(parts).toString("hex")}`;
}

/** A coordinator with a real registry, which remembers what was asked of it. */
export class WeightsCoordinator extends SmallCoordinator {
  readonly registry: WeightsRegistry;
  readonly fetches: WeightsRequest[] = [];
  readonly publishes: WeightsDelivery["manifest"][] = [];
  /** May change what is sent. */
  onFetch: (delivery: WeightsDelivery) => WeightsDelivery = (delivery) => delivery;

  constructor(options: Partial<RegistryOptions> = {}) {
    super();
    const now = (): number => performance.now();
    this.registry = new WeightsRegistry({ keep: 4, weights: SETTINGS, restored: null, now, ...options });
  }

  override async publishWeights(delivery: WeightsDelivery): Promise<void> {
    this.publishes.push(delivery.manifest);
    this.registry.publish(delivery);
    return Promise.resolve();
  }

  override async fetchWeights(request: WeightsRequest): Promise<WeightsDelivery> {
    this.fetches.push(request);
    return Promise.resolve(this.onFetch(this.registry.fetch(request)));
  }

  override async *watchWeights(
    request: WatchRequest,
    signal: AbortSignal,
  ): AsyncGenerator<WeightsAnnouncement> {
    this.watchedFrom.push(request.afterVersion);
    yield* this.registry.watch(request, signal);
  }
}

/** A running follower and everything it has handed out. */
export interface Following {
  readonly follower: WeightsFollower;
  readonly relay: WeightsRelay;
  readonly metrics: ActorMetrics;
  readonly seen: VerifiedWeights[];
  readonly failure: { error: unknown };
  /** It goes on following. */
  stopServing(): Promise<void>;
  stop(): Promise<void>;
}

export interface FollowingOptions {
  readonly transport: Transport;
  /** The coordinator's address. */
  readonly address: string;
  /** Others it serves at most; 0 = it does not relay. */
  readonly receivers?: number;
  readonly settings?: typeof SETTINGS;
  /** Stands between its relay and the others. */
  readonly through?: (address: string) => Promise<string>;
}

export async function following({
  transport,
  address,
  receivers = 0,
  settings = SETTINGS,
  through = (relay) => Promise.resolve(relay),
}: FollowingOptions): Promise<Following> {
  const metrics = createActorMetrics({ processMetrics: false });
  const free = address.startsWith("memory:") ? "memory:" : "127.0.0.1:0";
  const relay = new WeightsRelay(new WeightsShelf(2, settings), metrics);
  const serving = receivers === 0 ? null : await transport.serveWeights(relay, free, receivers);
  const relayAddress = serving === null ? "" : await through(serving.address);
  const control = transport.connectControl(address);
  const follower = new WeightsFollower({
    ...{ control, relay, relayAddress, metrics, log: createLogger({ role: "actor", level: "silent" }) },
    connect: (source) => transport.connectWeights(source),
    now: () => performance.now() / 1000,
  });
  const stop = new AbortController();
  const seen: VerifiedWeights[] = [];
  const failure = { error: null as unknown };
  const follow = async (): Promise<void> => {
    for await (const weights of follower.follow(stop.signal)) seen.push(weights);
  };
  const done = follow().catch((error: unknown) => void (failure.error = error));
  return {
    ...{ follower, relay, metrics, seen, failure },
    stopServing: async () => serving?.close(),
    stop: async () => {
      stop.abort();
      await done;
      await control.close();
      await serving?.close();
    },
  };
}

/** The value of a metric, of one label where it has one. */
export async function valueOf(metrics: ActorMetrics, name: string, label?: string): Promise<number> {
  const text = await metrics.registry.metrics();
  const line = text
    .split("\n")
    .find(
      (l) => l.startsWith(name) && !l.startsWith("#") && (label === undefined || l.includes(`"${label}"`)),
    );
  return Number(line?.split(" ").at(-1) ?? Number.NaN);
}
