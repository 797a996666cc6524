/** What the tests of the services share: small rollouts and the learner's counts. */
import { StopReason, type Rollout, type RolloutColumns } from "../../core/types.js";
import type { Intake } from "../../services/learner/intake.js";
import type { LearnerCounts } from "../../services/coordinator/work-gate.js";

export interface SmallRollout {
  readonly seat?: number;
  readonly sequence?: number;
  readonly steps?: number;
  /** Policy versions of the rollout, spread over its steps; one by default. */
  readonly versions?: readonly number[];
}

/** A rollout of one unfinished row with the fields that matter to the books. */
export function smallRollout({
  seat = 0,
  sequence = 1,
  steps = 4,
  versions = [0],
}: SmallRollout = {}): Rollout {
  const lengths = versions.map((_, k) => (k === 0 ? steps - versions.length + 1 : 1));
  const columns: RolloutColumns = {
    observationWidth: 1,
    actionWidth: 1,
    actionMaskWidth: 0,
    stateWidth: 0,
    actionMasks: new Uint8Array(0),
    initialStates: new Float32Array(0),
    offsets: Uint32Array.of(0, steps),
    observations: new Float32Array(steps),
    actions: new Int32Array(steps),
    behaviorLogprobs: new Float32Array(steps),
    rewards: new Float32Array(steps),
    mask: new Uint8Array(steps).fill(1),
    versionRunLengths: Uint32Array.from(lengths),
    versionRunValues: Uint32Array.from(versions),
    finalObservations: new Float32Array(1),
    terminated: new Uint8Array(1),
    truncated: new Uint8Array(1),
    stopReasons: Uint8Array.of(StopReason.fragment),
    trajectoryIds: Uint32Array.of(1),
    seeds: Uint32Array.of(1),
    stepExtras: {},
    rowCounters: {},
  };
  const rolloutId = `run/${seat}/${sequence}`;
  return { runId: "run", rolloutId, actorId: "actor", seat, sequence, collectSeconds: 0, columns };
}

/** The learner's side of the books, as it reports them. */
export function countsOf(intake: Intake): LearnerCounts {
  return {
    receivedSteps: intake.receivedSteps,
    disposedSteps: intake.disposedSteps,
    seatSequences: intake.receivedSequences,
  };
}

export const NOTHING_YET: LearnerCounts = { receivedSteps: 0, disposedSteps: 0, seatSequences: [] };
