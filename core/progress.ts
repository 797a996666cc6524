/** What a learner tells the world, as one JSON event a line: the format of `--json` and of metrics.jsonl. */

export type FinishReason = "solved" | "steps" | "stopped" | "failed";

/** One event after each trained batch. Rates are over the last few seconds; NaN becomes null in JSON. */
export interface ProgressEvent {
  readonly event: "progress";
  readonly envSteps: number;
  readonly envStepsPerSecond: number;
  /** Optimiser steps. */
  readonly updates: number;
  readonly updatesPerSecond: number;
  /** Batches trained = the version just published. */
  readonly policyVersion: number;
  /** Of the batch just trained. */
  readonly policyLagMean: number;
  readonly policyLagMax: number;
  readonly episodes: number;
  /** Mean return of the last 100 training episodes (of fewer, while there are fewer). */
  readonly meanReturn100: number;
  readonly actors: number;
  readonly wallSeconds: number;
  /** Seconds until `stop.envSteps` at the present rate. */
  readonly etaSeconds: number;
  /** Loss terms and health of the last batch by name: policyLoss, valueLoss, entropy, klK3, clipFraction … */
  readonly stats: Readonly<Record<string, number>>;
}

export interface FinishedEvent {
  readonly event: "finished";
  readonly reason: FinishReason;
  readonly envSteps: number;
  readonly updates: number;
  readonly wallSeconds: number;
  readonly meanReturn100: number;
  readonly policyVersion: number;
}

/** A line for people: something happened that is neither progress nor the end. */
export interface NoticeEvent {
  readonly event: "notice";
  readonly level: "info" | "warn" | "error";
  readonly message: string;
  readonly code?: string;
}

/** A service listens: where. */
export interface ListeningEvent {
  readonly event: "listening";
  readonly role: "coordinator" | "learner" | "actor";
  readonly pid: number;
  /** gRPC address; empty for actors. */
  readonly address: string;
  /** `http://host:port` of /metrics and /healthz; empty where switched off. */
  readonly http: string;
}

export type RunEvent = ProgressEvent | FinishedEvent | NoticeEvent | ListeningEvent;
