import { describe, expect, it } from "vitest";
import { createCoordinatorMetrics } from "../../core/telemetry/metrics.js";
import { ActorGauges } from "../../services/coordinator/actor-gauges.js";

const actor = (index: number, appliedVersion: number, secondsSinceSeen = 0.5) => ({
  ...{ name: `actor-${index}-${appliedVersion}`, index, appliedVersion, secondsSinceSeen },
});

describe("the gauges of the fleet", () => {
  it("show each place's version and silence, NaN once it is empty, and no more than 64 places", async () => {
    const metrics = createCoordinatorMetrics({ processMetrics: false });
    const gauges = new ActorGauges(metrics);
    const shown = async (what: string): Promise<string[]> =>
      (await metrics.registry.metrics())
        .split("\n")
        .filter((line) => line.startsWith(`skein_coordinator_actor_${what}`))
        .map((line) => line.slice(line.indexOf("{")));
    expect(await shown("applied_version")).toEqual([]);
    gauges.show([actor(0, 3), actor(2, -1, 4.25)]);
    expect(await shown("applied_version")).toEqual(['{place="0"} 3', '{place="2"} -1']);
    expect(await shown("seconds_since_seen")).toEqual(['{place="0"} 0.5', '{place="2"} 4.25']);
    gauges.show([actor(0, 4)]);
    expect(await shown("applied_version")).toEqual(['{place="0"} 4', '{place="2"} Nan']);
    gauges.show(Array.from({ length: 1000 }, (_, place) => actor(place, 9)));
    const versions = await shown("applied_version");
    expect(versions).toHaveLength(64);
    expect(new Set(versions.map((line) => line.split(" ")[1]))).toEqual(new Set(["9"]));
  });
});
