/**
 * The metric tables as live metrics: one registry a role, and a typed handle for each entry of its table. The only
 * importer of prom-client; services see the handles and nothing else.
 *
 * `inc` and `observe` throw on numbers that would spoil all that was counted before: NaN, infinity, less than 0. A
 * gauge may be NaN: unknown.
 */
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from "prom-client";
import { SkeinError } from "../errors.js";
import { actorMetricTable } from "./tables/actor.js";
import { coordinatorMetricTable } from "./tables/coordinator.js";
import { buildInfoDescriptor, type MetricDescriptor, type MetricTable } from "./tables/descriptor.js";
import { learnerMetricTable } from "./tables/learner.js";
import { skeinVersion } from "./version.js";

export interface CounterHandle {
  /** Adds `by` ≥ 0 (1 by default). */
  inc(by?: number): void;
}

export interface LabelledCounterHandle {
  /** Adds `by` ≥ 0 (1 by default). */
  inc(label: string, by?: number): void;
}

export interface GaugeHandle {
  set(value: number): void;
}

export interface LabelledGaugeHandle {
  set(label: string, value: number): void;
  /** Exactly these values, by label: the others are gone. */
  replace(values: Readonly<Record<string, number>>): void;
}

export interface StateHandle<S extends string> {
  /** Makes `state` the present one. */
  set(state: S): void;
}

export interface HistogramHandle {
  /** In the descriptor's unit. */
  observe(value: number): void;
}

export interface LabelledHistogramHandle {
  /** In the descriptor's unit. */
  observe(label: string, value: number): void;
}

type HandleOf<D extends MetricDescriptor> = D extends { type: "counter" }
  ? D extends { label: string }
    ? LabelledCounterHandle
    : CounterHandle
  : D extends { type: "gauge" }
    ? GaugeHandle
    : D extends { type: "labelled" }
      ? LabelledGaugeHandle
      : D extends { type: "state"; states: readonly (infer S extends string)[] }
        ? StateHandle<S>
        : D extends { label: string }
          ? LabelledHistogramHandle
          : HistogramHandle;

/** What serves /metrics: enough of prom-client's registry, without its name. */
export interface MetricsRegistry {
  readonly contentType: string;
  /** Everything in Prometheus' text format. */
  metrics(): Promise<string>;
}

type RoleMetrics<T extends MetricTable> = { readonly [K in keyof T]: HandleOf<T[K]> } & {
  readonly registry: MetricsRegistry;
};

export type CoordinatorMetrics = RoleMetrics<typeof coordinatorMetricTable>;
export type LearnerMetrics = RoleMetrics<typeof learnerMetricTable>;
export type ActorMetrics = RoleMetrics<typeof actorMetricTable>;

export interface MetricsOptions {
  /**
   * CPU, memory, garbage collection and event-loop lag of the process, true by default. Its observers live as long
   * as the process: switch it off where many registries are made in one.
   */
  readonly processMetrics?: boolean;
}

function expectAmount(name: string, value: number): number {
  if (value >= 0 && Number.isFinite(value)) return value;
  throw new SkeinError("INTERNAL", `${name}: expected a finite number of at least 0, got ${value}`);
}

function createHandle(d: MetricDescriptor, registry: Registry): HandleOf<MetricDescriptor> {
  const base = { name: d.name, help: `${d.help} (${d.unit})`, registers: [registry] };
  switch (d.type) {
    case "counter": {
      if ("label" in d) {
        const counter = new Counter({ ...base, labelNames: [d.label] });
        for (const value of d.values) counter.inc({ [d.label]: value }, 0);
        return {
          inc: (value: string, by = 1) => counter.inc({ [d.label]: value }, expectAmount(d.name, by)),
        };
      }
      const counter = new Counter(base);
      return { inc: (by = 1) => counter.inc(expectAmount(d.name, by)) };
    }
    case "gauge": {
      const gauge = new Gauge(base);
      return { set: (value: number) => gauge.set(value) };
    }
    case "labelled": {
      const gauge = new Gauge({ ...base, labelNames: [d.label] });
      const set = (label: string, value: number): void => gauge.set({ [d.label]: label }, value);
      const replace = (values: Readonly<Record<string, number>>): void => {
        gauge.reset();
        for (const [label, value] of Object.entries(values)) set(label, value);
      };
      return { set, replace };
    }
    case "state": {
      const gauge = new Gauge({ ...base, labelNames: [d.label] });
      const set = (present: string): void => {
        for (const state of d.states) gauge.set({ [d.label]: state }, state === present ? 1 : 0);
      };
      set(d.states[0] ?? "");
      return { set };
    }
    case "histogram": {
      const buckets = [...d.buckets];
      if ("label" in d) {
        const histogram = new Histogram({ ...base, buckets, labelNames: [d.label] });
        for (const value of d.values) histogram.zero({ [d.label]: value });
        return {
          observe: (label: string, value: number) =>
            histogram.observe({ [d.label]: label }, expectAmount(d.name, value)),
        };
      }
      const histogram = new Histogram({ ...base, buckets });
      return { observe: (value: number) => histogram.observe(expectAmount(d.name, value)) };
    }
  }
}

function createMetrics<T extends MetricTable>(
  role: string,
  table: T,
  options: MetricsOptions,
): RoleMetrics<T> {
  const registry = new Registry();
  const { name, help, labels } = buildInfoDescriptor;
  new Gauge({ name, help, labelNames: labels, registers: [registry] }).set(
    { role, version: skeinVersion(), node: process.version },
    1,
  );
  if (options.processMetrics ?? true) collectDefaultMetrics({ register: registry });
  const handles = Object.entries(table).map(([key, d]) => [key, createHandle(d, registry)] as const);
  // Each entry of the table has become its handle, which is what the mapped type says.
  return { ...Object.fromEntries(handles), registry } as unknown as RoleMetrics<T>;
}

/** The coordinator's metrics in a registry of their own; the phase starts as `waiting`. */
export function createCoordinatorMetrics(options: MetricsOptions = {}): CoordinatorMetrics {
  return createMetrics("coordinator", coordinatorMetricTable, options);
}

/** The learner's metrics in a registry of their own. */
export function createLearnerMetrics(options: MetricsOptions = {}): LearnerMetrics {
  const metrics = createMetrics("learner", learnerMetricTable, options);
  metrics.meanReturn.set(Number.NaN);
  return metrics;
}

/** The metrics of one actor process in a registry of their own. */
export function createActorMetrics(options: MetricsOptions = {}): ActorMetrics {
  const metrics = createMetrics("actor", actorMetricTable, options);
  metrics.policyVersion.set(-1);
  return metrics;
}
