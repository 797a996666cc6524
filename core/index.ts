/** What a user of the package imports: write an environment, read a record, tell errors apart. */
export { SkeinError, type ErrorCode } from "./errors.js";
export type {
  Action,
  ActionMask,
  Environment,
  EnvironmentDefinition,
  EnvironmentSpec,
  Observation,
  StepResult,
  VectorEnvironment,
} from "./env/environment.js";
export { box, discrete, multiDiscrete, type Space } from "./env/spaces.js";
export { defineEnvironment } from "./env/define.js";
export type { FinishedEvent, ListeningEvent, NoticeEvent, ProgressEvent, RunEvent } from "./progress.js";
export { Random } from "./random.js";
export type { Rollout, RolloutColumns, WeightsSnapshot } from "./types.js";
