/** What `skein train` shows a run through: one interface, three looks (live, plain, json). */
import type { RunEvent } from "../../core/progress.js";

/** What is known of a run before it starts. */
export interface RunHeader {
  readonly runName: string;
  readonly environment: string;
  readonly recipe: string;
  readonly engine: string;
  readonly seed: number;
  readonly runFolder: string;
  /** `stop.envSteps` */
  readonly stopEnvSteps: number;
  /** `stop.meanReturn`; null = the run is never solved. */
  readonly stopMeanReturn: number | null;
}

/** Where a view writes: process.stdout, or anything like it. */
export interface ViewStream {
  write(text: string): unknown;
  /** Size of the terminal, characters; 80 × 24 where unknown. */
  readonly columns?: number;
  readonly rows?: number;
  on?(event: "resize", listener: () => void): unknown;
  off?(event: "resize", listener: () => void): unknown;
}

export interface View {
  event(event: RunEvent): void;
  /** Writes what is still owed and gives the terminal back; no timer survives it. Harmless twice. */
  close(): void;
}
