/** What the tests of the services share: small rollouts, and deliveries that remember what they were told. */
import { StopReason, rolloutIdOf, type Rollout, type RolloutColumns } from "../../core/types.js";
import type { RolloutDelivery } from "../../core/transport/transport.js";

export interface SmallRollout {
  readonly runId?: string;
  readonly seat?: number;
  readonly task?: string;
  /** A fragment's number, or a group. */
  readonly group?: number;
  readonly member?: number;
  readonly attempt?: number;
  readonly requestId?: number;
  readonly steps?: number;
  /** Policy versions of the rollout, spread over its steps; one by default. */
  readonly versions?: readonly number[];
  readonly episodeReturn?: number;
}

/** A rollout of one unfinished row with the fields that matter to the books. */
export function smallRollout({
  runId = "run",
  seat = 0,
  task = `seat-${seat}`,
  group = 1,
  member = 0,
  attempt = 1,
  requestId = 1000 * (seat + 1) + 10 * group + attempt,
  steps = 4,
  versions = [0],
  episodeReturn = Number.NaN,
}: SmallRollout = {}): Rollout {
  const lengths = versions.map((_, k) => (k === 0 ? steps - versions.length + 1 : 1));
  const columns: RolloutColumns = {
    observationWidth: 1,
    actionWidth: 1,
    actionMaskWidth: 0,
    stateWidth: 0,
    actionMasks: new Uint8Array(0),
    ...{ anchorIndices: new Uint32Array(0), anchorTexts: new Uint8Array(0) },
    postObservations: new Float32Array(0),
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
    rowCounters: { episodeReturn: Float32Array.of(episodeReturn) },
  };
  const work = { task, group, member, attempt };
  const rolloutId = rolloutIdOf(runId, work);
  return { ...work, runId, rolloutId, requestId, actorId: "actor", seat, collectSeconds: 0, columns };
}

/** A delivery that remembers what its sender was told; not settled yet: "". */
export interface KeptDelivery extends RolloutDelivery {
  readonly taken: boolean;
  /** "", "ack", or why it was refused. */
  readonly answer: string;
}

export function deliveryOf(
  rollout: Rollout,
  onAnswer: (answer: string) => void = () => undefined,
): KeptDelivery {
  const kept = { taken: false, answer: "" };
  const settle = (answer: string): void => {
    if (kept.answer !== "") return;
    kept.taken = true;
    kept.answer = answer;
    onAnswer(answer);
  };
  return {
    rollout,
    bytes: 4 * rollout.columns.observations.length,
    take: () => void (kept.taken = true),
    ack: () => settle("ack"),
    reject: (reason) => settle(reason),
    get taken() {
      return kept.taken;
    },
    get answer() {
      return kept.answer;
    },
  };
}
