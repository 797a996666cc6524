/** docs/metrics.md, written from the metric tables. */
import { markdownTable } from "../markdown.js";
import { actorMetricTable } from "./tables/actor.js";
import { coordinatorMetricTable } from "./tables/coordinator.js";
import { buildInfoDescriptor, type MetricDescriptor, type MetricTable } from "./tables/descriptor.js";
import { learnerMetricTable } from "./tables/learner.js";

function typeText(d: MetricDescriptor): string {
  if (d.type === "labelled") return `gauge by \`${d.label}\``;
  if (d.type === "state") return `gauge by \`${d.label}\` (${d.states.join(", ")})`;
  return "label" in d ? `${d.type} by \`${d.label}\` (${d.values.join(", ")})` : d.type;
}

function section(title: string, intro: string, table: MetricTable): string[] {
  const rows = Object.values(table).map((d) => [`\`${d.name}\``, typeText(d), d.unit, d.help]);
  return [`## ${title}`, "", intro, "", ...markdownTable([["Name", "Type", "Unit", "Meaning"], ...rows]), ""];
}

function bucketsText(tables: readonly MetricTable[]): string {
  const lists = new Set<string>();
  for (const table of tables) {
    for (const d of Object.values(table)) if (d.type === "histogram") lists.add(d.buckets.join(", "));
  }
  return [...lists].join("; ");
}

const QUESTIONS: readonly (readonly [question: string, query: string])[] = [
  ["Environment steps trained per second", "rate(skein_learner_env_steps_total[1m])"],
  ["Environment steps taken per second, whole fleet", "sum(rate(skein_actor_env_steps_total[1m]))"],
  [
    "Share of the learner's time spent waiting for data",
    "rate(skein_learner_batch_wait_seconds_sum[5m]) / " +
      "(rate(skein_learner_batch_wait_seconds_sum[5m]) + rate(skein_learner_update_seconds_sum[5m]))",
  ],
  [
    "Seconds a rollout waits for the learner, 95th percentile",
    "histogram_quantile(0.95, sum by (le) (rate(skein_actor_send_wait_seconds_bucket[5m])))",
  ],
  ["Versions an actor is behind", "scalar(max(skein_learner_policy_version)) - skein_actor_policy_version"],
  ["Age of the last checkpoint, seconds", "time() - skein_learner_last_checkpoint_timestamp_seconds"],
];

/** The whole page, Markdown. */
export function metricsPage(): string {
  const { name, help, labels } = buildInfoDescriptor;
  return [
    "# Metrics",
    "",
    "<!-- Written from core/telemetry/tables by core/telemetry/metrics-page.ts; renew it with `npx vitest run test/telemetry -u`. -->",
    "",
    "Every service answers `GET /metrics` (Prometheus text) and `GET /healthz` (JSON; 200 = healthy, 503 = not) on its",
    "`http` address. Names are `skein_<role>_<what>_<unit>`. Durations are in seconds. Counters end in `_total` and count",
    "from the start of the process: a service that resumes from a checkpoint starts them at 0.",
    "",
    ...section("Coordinator", "Work, leases and weights.", coordinatorMetricTable),
    ...section(
      "Learner",
      "Every rollout received is trained on, dropped as duplicate or stale, refused, or still waiting for its batch.",
      learnerMetricTable,
    ),
    ...section("Actor", "One set for each actor process, over all its threads.", actorMetricTable),
    "## Every service",
    "",
    `\`${name}\` is ${help}`,
    `(${labels.map((label) => `\`${label}\``).join(", ")}). Beside it stand the process metrics of prom-client, among them`,
    "`process_cpu_seconds_total`, `process_resident_memory_bytes`, `nodejs_heap_size_used_bytes`,",
    "`nodejs_gc_duration_seconds` and `nodejs_eventloop_lag_p99_seconds`.",
    "",
    `Histogram buckets, seconds: ${bucketsText([coordinatorMetricTable, learnerMetricTable, actorMetricTable])}.`,
    "",
    "## Questions and queries",
    "",
    ...markdownTable([
      ["Question", "PromQL"],
      ...QUESTIONS.map(([question, query]) => [question, `\`${query}\``]),
    ]),
    "",
  ].join("\n");
}
