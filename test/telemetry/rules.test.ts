import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { parse, stringify } from "yaml";
import { actorMetricTable } from "../../core/telemetry/tables/actor.js";
import { coordinatorMetricTable } from "../../core/telemetry/tables/coordinator.js";
import type { MetricTable } from "../../core/telemetry/tables/descriptor.js";
import { learnerMetricTable } from "../../core/telemetry/tables/learner.js";

const RULES = resolve("deploy/prometheus/skein.rules.yml");
const run = promisify(execFile);
const promtool = (...args: string[]): Promise<unknown> => run("promtool", args);
const hasPromtool = await promtool("--version").then(
  () => true,
  () => false,
);

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly annotations: Readonly<Record<string, string>>;
}

const { groups } = parse(readFileSync(RULES, "utf8")) as { groups: readonly { rules: readonly Rule[] }[] };
const rules = groups.flatMap((group) => group.rules);

function metricNames(table: MetricTable): string[] {
  return Object.values(table).map(({ name }) => name);
}

describe("the alert rules", () => {
  it("speak of metrics that exist, and each says what to do", () => {
    const tables = [coordinatorMetricTable, learnerMetricTable, actorMetricTable];
    const known = new Set<string>(tables.flatMap(metricNames));
    expect(rules.length).toBeGreaterThan(3);
    for (const { alert, expr, annotations } of rules) {
      const named = `${expr} ${annotations["description"]}`.match(/skein_[a-z_]+/g) ?? [];
      expect([alert, named.filter((name) => !known.has(name))]).toEqual([alert, []]);
      expect(annotations["summary"]).toBeTruthy();
    }
  });
});

describe.skipIf(!hasPromtool)("the alert rules, read by promtool (skipped where it is not installed)", () => {
  let folder: string;
  beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), "skein-rules-"))));
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  /** Throws unless exactly these alerts fire after 50 minutes of these series, one value a minute. */
  async function expectFiring(series: Readonly<Record<string, string>>, ...alerts: string[]): Promise<void> {
    const test = {
      interval: "1m",
      input_series: Object.entries(series).map(([name, values]) => ({ series: name, values })),
      promql_expr_test: [
        {
          expr: 'count by (alertname) (ALERTS{alertstate="firing"})',
          eval_time: "50m",
          exp_samples: alerts.map((alert) => ({ labels: `{alertname="${alert}"}`, value: 1 })),
        },
      ],
    };
    const file = join(folder, "test.yml");
    writeFileSync(file, stringify({ rule_files: [RULES], tests: [test] }));
    await promtool("test", "rules", file);
  }

  const label = (name: string, labels = ""): string => `${name}{instance="c"${labels}}`;
  const healthy = {
    [label("skein_coordinator_books_imbalance_rollouts")]: "0x60",
    [label("skein_coordinator_books_imbalance_steps")]: "0x60",
    [label("skein_coordinator_policy_version")]: "0+1x60",
    [label("skein_coordinator_phase", ',phase="running"')]: "1x60",
    [label("skein_coordinator_phase", ',phase="waiting"')]: "0x60",
    [label("skein_coordinator_paused_seconds")]: "0x60",
    [label("skein_coordinator_quarantined_actors")]: "0x60",
    [label("skein_coordinator_books_rollouts", ',state="submitted"')]: "0+100x60",
    [label("skein_coordinator_books_rollouts", ',state="stale"')]: "0+1x60",
    [label("skein_coordinator_books_rollouts", ',state="failed"')]: "0+1x60",
    [label("skein_coordinator_voided_groups_total")]: "0x60",
    [label("skein_coordinator_sealed_groups_total")]: "0+10x60",
  };

  it("are silent while all is well", async () => {
    await expectFiring(healthy);
  });

  it.each([
    ["SkeinBooksImbalance", { [label("skein_coordinator_books_imbalance_rollouts")]: "0x10 -1x50" }],
    ["SkeinBooksImbalance", { [label("skein_coordinator_books_imbalance_steps")]: "0x10 64x50" }],
    ["SkeinNoProgress", { [label("skein_coordinator_policy_version")]: "0+1x10 10x50" }],
    ["SkeinQuarantinedActors", { [label("skein_coordinator_quarantined_actors")]: "0x10 1x50" }],
    ["SkeinStaleShare", { [label("skein_coordinator_books_rollouts", ',state="stale"')]: "0+20x60" }],
    ["SkeinFailedShare", { [label("skein_coordinator_books_rollouts", ',state="failed"')]: "0+40x60" }],
    ["SkeinVoidGroups", { [label("skein_coordinator_voided_groups_total")]: "0+5x60" }],
    ["SkeinNoLearner", { [label("skein_coordinator_phase", ',phase="waiting"')]: "0x10 1x50" }],
  ])("say %s, and nothing else, where it is so", async (alert, change) => {
    await expectFiring({ ...healthy, ...change }, alert);
  });

  it("do not miss progress in a run that is paused", async () => {
    const change = {
      [label("skein_coordinator_policy_version")]: "0+1x10 10x50",
      [label("skein_coordinator_paused_seconds")]: "0x10 600x50",
    };
    await expectFiring({ ...healthy, ...change });
  });
});
