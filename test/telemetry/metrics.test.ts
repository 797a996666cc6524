import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { metricsPage } from "../../core/telemetry/metrics-page.js";
import { actorMetricTable } from "../../core/telemetry/tables/actor.js";
import { coordinatorMetricTable } from "../../core/telemetry/tables/coordinator.js";
import type { MetricDescriptor, MetricTable } from "../../core/telemetry/tables/descriptor.js";
import { learnerMetricTable } from "../../core/telemetry/tables/learner.js";
import {
  createActorMetrics,
  createCoordinatorMetrics,
  createLearnerMetrics,
} from "../../core/telemetry/metrics.js";
import { parsePrometheus, valueOf } from "./prometheus.js";

const bare = { processMetrics: false };
const roles: readonly (readonly [role: string, table: MetricTable])[] = [
  ["coordinator", coordinatorMetricTable],
  ["learner", learnerMetricTable],
  ["actor", actorMetricTable],
];
const all: readonly (readonly [role: string, metric: MetricDescriptor])[] = roles.flatMap(([role, table]) =>
  Object.values(table).map((metric) => [role, metric] as const),
);

describe("the metric tables", () => {
  it("name every metric once, skein_<role>_…, in lower case", () => {
    const names = all.map(([, { name }]) => name);
    expect(new Set(names).size).toBe(names.length);
    for (const [role, { name }] of all) expect(name).toMatch(new RegExp(`^skein_${role}(_[a-z]+)+$`));
  });

  it("end counters and only counters in _total, and durations and only durations in _seconds, before that", () => {
    for (const [, metric] of all) {
      expect(metric.name.endsWith("_total"), metric.name).toBe(metric.type === "counter");
      expect(/_seconds(_total)?$/.test(metric.name), metric.name).toBe(/seconds$/.test(metric.unit));
    }
  });

  it("give histograms rising buckets", () => {
    for (const [, metric] of all) {
      if (metric.type !== "histogram") continue;
      expect(metric.buckets).toEqual([...metric.buckets].sort((a, b) => a - b));
    }
  });
});

describe("/metrics", () => {
  it.each([
    ["coordinator", coordinatorMetricTable, createCoordinatorMetrics],
    ["learner", learnerMetricTable, createLearnerMetrics],
    ["actor", actorMetricTable, createActorMetrics],
  ] as const)(
    "holds every metric of the %s's table with its help and type from the start",
    async (role, table, create) => {
      const page = parsePrometheus(await create(bare).registry.metrics());
      for (const metric of Object.values<MetricDescriptor>(table)) {
        expect(page.help.get(metric.name)).toContain(metric.help);
        const { type } = metric;
        expect(page.type.get(metric.name)).toBe(type === "state" || type === "labelled" ? "gauge" : type);
      }
      const own = [...page.type.keys()].filter((name) => name.startsWith("skein_"));
      expect(own).toHaveLength(Object.keys(table).length + 1);
      expect(valueOf(page, "skein_build_info", { role, node: process.version })).toBe(1);
    },
  );

  it("shows what the coordinator did, the phase as one of three", async () => {
    const metrics = createCoordinatorMetrics(bare);
    metrics.registeredActors.set(3);
    metrics.grantedRequests.inc();
    metrics.grantedRequests.inc(4);
    const phases = async (): Promise<number[]> => {
      const page = parsePrometheus(await metrics.registry.metrics());
      const names = ["waiting", "running", "finished"];
      return names.map((phase) => valueOf(page, "skein_coordinator_phase", { phase }));
    };
    expect(await phases()).toEqual([1, 0, 0]);
    metrics.phase.set("finished");
    expect(await phases()).toEqual([0, 0, 1]);

    const page = parsePrometheus(await metrics.registry.metrics());
    expect(valueOf(page, "skein_coordinator_registered_actors")).toBe(3);
    expect(valueOf(page, "skein_coordinator_granted_requests_total")).toBe(5);
    expect(valueOf(page, "skein_coordinator_expired_leases_total")).toBe(0);
  });

  it("shows loss stats by name, NaN included", async () => {
    const metrics = createLearnerMetrics(bare);
    metrics.lossStats.set("entropy", 0.5);
    metrics.lossStats.set("klK3", Number.NaN);
    const page = parsePrometheus(await metrics.registry.metrics());
    expect(valueOf(page, "skein_learner_loss_stats", { name: "entropy" })).toBe(0.5);
    expect(valueOf(page, "skein_learner_loss_stats", { name: "klK3" })).toBeNaN();
  });

  it("forgets the labels that a replacement does not name", async () => {
    const metrics = createCoordinatorMetrics(bare);
    metrics.actorAppliedVersion.replace({ a: 1, b: 2 });
    metrics.actorAppliedVersion.replace({ b: 3 });
    const page = await metrics.registry.metrics();
    expect(valueOf(parsePrometheus(page), "skein_coordinator_actor_applied_version", { actor: "b" })).toBe(3);
    expect(page).not.toContain('actor="a"');
  });

  it("says that mean return and applied version are unknown before there are any", async () => {
    const learner = parsePrometheus(await createLearnerMetrics(bare).registry.metrics());
    expect(valueOf(learner, "skein_learner_mean_return")).toBeNaN();
    const actor = parsePrometheus(await createActorMetrics(bare).registry.metrics());
    expect(valueOf(actor, "skein_actor_policy_version")).toBe(-1);
  });

  it("counts by label, every value that is known from the start at 0", async () => {
    const metrics = createActorMetrics(bare);
    metrics.returnedRequests.inc("environment");
    metrics.returnedRequests.inc("environment", 2);
    const page = parsePrometheus(await metrics.registry.metrics());
    const counted = (reason: string): number =>
      valueOf(page, "skein_actor_returned_requests_total", { reason });
    expect([counted("environment"), counted("deadline")]).toEqual([3, 0]);
    expect(() => metrics.returnedRequests.inc("environment", Number.NaN)).toThrow("expected a finite number");
  });

  it("counts durations in cumulative buckets with their sum", async () => {
    const metrics = createLearnerMetrics(bare);
    const seconds = [0.003, 0.02, 0.02, 1000];
    for (const value of seconds) metrics.updateSeconds.observe(value);
    const page = parsePrometheus(await metrics.registry.metrics());
    const buckets = page.samples.filter(({ name }) => name === "skein_learner_update_seconds_bucket");
    expect(buckets.length).toBeGreaterThan(5);
    for (const { labels, value } of buckets) {
      const limit = labels["le"] === "+Inf" ? Number.POSITIVE_INFINITY : Number(labels["le"]);
      expect(value).toBe(seconds.filter((s) => s <= limit).length);
    }
    expect(valueOf(page, "skein_learner_update_seconds_sum")).toBeCloseTo(1000.043, 9);
    expect(valueOf(page, "skein_learner_update_seconds_count")).toBe(4);
  });

  it("refuses to spoil a counter or histogram with NaN or a step back", () => {
    const metrics = createActorMetrics(bare);
    for (const wrong of [Number.NaN, Number.POSITIVE_INFINITY, -1]) {
      expect(() => metrics.envSteps.inc(wrong)).toThrow(
        "skein_actor_env_steps_total: expected a finite number",
      );
      expect(() => metrics.inferenceSeconds.observe(wrong)).toThrow("skein_actor_inference_seconds");
    }
  });

  it("keeps two registries of one role apart", async () => {
    const [one, other] = [createActorMetrics(bare), createActorMetrics(bare)];
    one.envSteps.inc(7);
    const page = parsePrometheus(await other.registry.metrics());
    expect(valueOf(page, "skein_actor_env_steps_total")).toBe(0);
  });

  it("adds the process's own metrics, event-loop lag among them, and the package's version", async () => {
    const page = parsePrometheus(await createActorMetrics().registry.metrics());
    for (const name of [
      "process_cpu_seconds_total",
      "nodejs_eventloop_lag_p99_seconds",
      "nodejs_heap_size_used_bytes",
    ]) {
      expect(page.type.has(name), name).toBe(true);
    }
    const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
      version: string;
    };
    expect(valueOf(page, "skein_build_info", { version })).toBe(1);
  });
});

describe("docs/metrics.md", () => {
  it("is what metricsPage() writes; `npx vitest run test/telemetry -u` renews it", async () => {
    await expect(metricsPage()).toMatchFileSnapshot("../../docs/metrics.md");
  });

  it("has one row for every metric, with its unit and meaning", () => {
    const rows = metricsPage()
      .split("\n")
      .filter((line) => line.startsWith("| `skein_"))
      .map((line) => line.split("|").map((cell) => cell.trim()));
    expect(rows.map((row) => row[1])).toEqual(all.map(([, { name }]) => `\`${name}\``));
    expect(rows.map((row) => [row[3], row[4]])).toEqual(all.map(([, { unit, help }]) => [unit, help]));
  });

  it("asks only for metrics that exist", () => {
    const names = new Set(all.map(([, { name }]) => name).concat("skein_build_info"));
    for (const [word] of metricsPage().matchAll(/skein_[a-z_]*[a-z]/g)) {
      expect(names.has(word.replace(/(_seconds)_(sum|bucket|count)$/, "$1")), word).toBe(true);
    }
  });
});
