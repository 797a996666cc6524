/**
 * Every metric of every service: name, type, unit, labels and meaning, one table a role. The registries (metrics.ts)
 * and docs/metrics.md (metrics-page.ts) both come from here.
 *
 * Names are `skein_<role>_<what>_<unit>`; durations are in seconds; counters end in `_total` and count from the start
 * of the process.
 */

/** Upper bounds of the duration histograms, seconds. */
export const DURATIONS = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
] as const;

/** Upper bounds of the histograms of lengths, steps. */
export const LENGTHS = [
  1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000,
] as const;

export const WEIGHTS_MODES = ["full", "delta"] as const;

interface DescriptorBase {
  readonly name: string;
  readonly help: string;
  readonly unit: string;
}

/**
 * counter = only grows · gauge = one number · labelled = one gauge a value of `label` · state = one gauge a state, 1
 * for the present one and 0 for the others · histogram = counts below each bucket, sum and count. A counter or histogram
 * with a `label` is one for each value of it; those of `values` are there from the start.
 */
export type MetricDescriptor = DescriptorBase &
  (
    | { readonly type: "counter" }
    | { readonly type: "counter"; readonly label: string; readonly values: readonly string[] }
    | { readonly type: "gauge" }
    | { readonly type: "labelled"; readonly label: string }
    | { readonly type: "state"; readonly label: string; readonly states: readonly string[] }
    | { readonly type: "histogram"; readonly buckets: readonly number[] }
    | {
        readonly type: "histogram";
        readonly buckets: readonly number[];
        readonly label: string;
        readonly values: readonly string[];
      }
  );

export type MetricTable = Readonly<Record<string, MetricDescriptor>>;

/** What runs: 1, labelled. Every service has it. */
export const buildInfoDescriptor = {
  name: "skein_build_info",
  help: "1, labelled with the role, the version of Skein and the version of Node.js",
  unit: "always 1",
  labels: ["role", "version", "node"],
} as const;
