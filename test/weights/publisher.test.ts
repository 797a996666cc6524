/** What the learner publishes, through real sockets, as the coordinator gets it. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Random } from "../../core/random.js";
import { createLearnerMetrics } from "../../core/telemetry/metrics.js";
import { createGrpcTransport } from "../../core/transport/grpc/index.js";
import type { Transport } from "../../core/transport/transport.js";
import type { WeightsSnapshot } from "../../core/types.js";
import { WeightsPublisher } from "../../core/weights/publisher.js";
import { failureOf, OPTIONS } from "../transport/helpers.js";
import { bytesOf, changed, network, SETTINGS, WeightsCoordinator } from "./fixture.js";

let transport: Transport;

beforeEach(() => {
  transport = createGrpcTransport(OPTIONS);
});

afterEach(() => transport.close());

async function publishing(coordinator: WeightsCoordinator, settings = SETTINGS) {
  const server = await transport.serveControl(coordinator, "127.0.0.1:0");
  const metrics = createLearnerMetrics({ processMetrics: false });
  return {
    server,
    publisher: new WeightsPublisher(transport.connectControl(server.address), "learner", settings, metrics),
    metrics,
  };
}

/** Versions 0 … n of a network of which little changes. */
function versions(n: number): WeightsSnapshot[] {
  const random = new Random(7);
  const all = [network(0, 1)];
  while (all.length <= n) all.push(changed(all.at(-1)!, all.length, random, 3));
  return all;
}

function newestOf({ registry }: WeightsCoordinator): string {
  const { version } = registry;
  const { payload } = registry.fetch({ version, oldest: version, base: null });
  return `${version} ${Buffer.from(payload).toString("hex")}`;
}

describe("a weights publisher", () => {
  it("sends a delta from the version before, and an anchor in full every so often", async () => {
    const coordinator = new WeightsCoordinator();
    const { publisher, metrics } = await publishing(coordinator, { ...SETTINGS, anchorEvery: 4 });
    for (const snapshot of versions(9)) {
      await publisher.publish(snapshot);
      expect(newestOf(coordinator)).toBe(bytesOf(snapshot));
    }
    const parents = [null, 0, 1, 2, null, 4, 5, 6, null, 8];
    expect(coordinator.publishes.map(({ parent }) => parent)).toEqual(parents);
    const text = await metrics.registry.metrics();
    const full = 3 * 4 * (96 + 3 + 1);
    expect(text).toContain(`skein_learner_weights_sent_bytes_total{mode="full"} ${full}`);
  });

  it("sends all where deltas are off or would be no smaller", async () => {
    const coordinator = new WeightsCoordinator();
    const { publisher } = await publishing(coordinator, { ...SETTINGS, deltas: false });
    for (const snapshot of versions(2)) await publisher.publish(snapshot);
    const other = await publishing(coordinator);
    await other.publisher.publish(network(3, 10));
    await other.publisher.publish(network(4, 11));
    expect(coordinator.publishes.map(({ parent }) => parent)).toEqual([null, null, null, null, null]);
  });

  it("sends all again to a coordinator that has forgotten the version before", async () => {
    const first = new WeightsCoordinator();
    const { publisher, server } = await publishing(first);
    const [v0, v1, v2, v3] = versions(3);
    await publisher.publish(v0!);
    await publisher.publish(v1!);
    await server.close();
    const { version, rootHash } = first.publishes[1]!;
    const restarted = new WeightsCoordinator({ restored: { version, rootHash } });
    await transport.serveControl(restarted, server.address);
    await publisher.publish(v2!);
    expect(restarted.publishes.map(({ parent }) => parent)).toEqual([1, null]);
    await publisher.publish(v3!);
    expect(restarted.publishes.map(({ parent }) => parent)).toEqual([1, null, 2]);
    expect(newestOf(restarted)).toBe(bytesOf(v3!));
  });

  it("sends the version at hand again, in full, when told to", async () => {
    const first = new WeightsCoordinator();
    const { publisher, server } = await publishing(first);
    const [v0, v1] = versions(1);
    await publisher.publish(v0!);
    await publisher.publish(v1!);
    await server.close();
    const { version, rootHash } = first.publishes[1]!;
    const restarted = new WeightsCoordinator({ restored: { version, rootHash } });
    await transport.serveControl(restarted, server.address);
    await publisher.publish(v1!);
    expect(restarted.publishes.map(({ parent }) => parent)).toEqual([null]);
    expect(newestOf(restarted)).toBe(bytesOf(v1!));
  });

  it("never sends weights that are not finite, and goes on with the next that are", async () => {
    const coordinator = new WeightsCoordinator();
    const { publisher } = await publishing(coordinator);
    const [v0, v1, v2] = versions(2);
    await publisher.publish(v0!);
    v1!.tensors[0]!.data[17] = Number.NaN;
    const error = await failureOf(publisher.publish(v1!));
    expect(error.code).toBe("REFUSED");
    expect(error.message).toMatch(/weights 1, tensor "embed\/weight": expected finite numbers/);
    expect(coordinator.publishes).toHaveLength(1);
    v2!.tensors[0]!.data[17] = 0;
    await publisher.publish(v2!);
    expect(coordinator.publishes.map(({ version, parent }) => [version, parent])).toEqual([
      [0, null],
      [2, 0],
    ]);
    expect(newestOf(coordinator)).toBe(bytesOf(v2!));
  });

  it("passes on that another learner has published a newer version", async () => {
    const coordinator = new WeightsCoordinator();
    const { publisher } = await publishing(coordinator);
    const other = await publishing(coordinator);
    await publisher.publish(network(5, 1));
    const error = await failureOf(other.publisher.publish(network(4, 2)));
    expect(error).toMatchObject({ code: "REFUSED" });
    expect(error.message).toContain("is a second learner running?");
  });

  it("never goes back itself", async () => {
    const { publisher } = await publishing(new WeightsCoordinator());
    await publisher.publish(network(5, 1));
    const error = await failureOf(publisher.publish(network(4, 2)));
    expect(error.message).toContain("versions never go back");
  });
});
