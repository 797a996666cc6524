/** The records that flow between the services: typed arrays by column, never an object a step. */

/** Why a row ends where it ends. */
export const StopReason = { fragment: 0, terminated: 1, truncated: 2, deadline: 3 } as const;
export type StopReason = (typeof StopReason)[keyof typeof StopReason];

/**
 * Rows of steps. One row is one contiguous stretch of one policy's decisions; row i owns the steps
 * offsets[i] … offsets[i+1]−1. O = observation width, A = action width, P = choices of discrete actions, S = width
 * of the network's memory, N = steps, R = rows.
 */
export interface RolloutColumns {
  readonly observationWidth: number;
  readonly actionWidth: number;
  /** P where the environment says which actions may be chosen; 0 = all may */
  readonly actionMaskWidth: number;
  /** S; 0 = the network has no memory */
  readonly stateWidth: number;
  /** [R+1] */
  readonly offsets: Uint32Array;
  /** [N·O]; a discrete observation is its index */
  readonly observations: Float32Array;
  /** [N·A]; Int32Array for discrete actions */
  readonly actions: Int32Array | Float32Array;
  /** [N·P] 1 = could be chosen; one number a choice, the parts of a multi-discrete action one after the other */
  readonly actionMasks: Uint8Array;
  /** [N] which of `anchorTexts` names the state before each step; [0] where the observation does */
  readonly anchorIndices: Uint32Array;
  /** Distinct texts, as `joinAnchorTexts` joins them; [0] where there are no `anchorIndices` */
  readonly anchorTexts: Uint8Array;
  /** [N·O] what the deterministic part of each step alone leads to; [0] where the environment does not say */
  readonly postObservations: Float32Array;
  /** [N] log-probability under the distribution actually sampled, nats */
  readonly behaviorLogprobs: Float32Array;
  /** [N] */
  readonly rewards: Float32Array;
  /** [N] 1 = chosen by the policy */
  readonly mask: Uint8Array;
  /** Run-length coded policy version of the N steps: `versionRunLengths[k]` steps of `versionRunValues[k]`. */
  readonly versionRunLengths: Uint32Array;
  readonly versionRunValues: Uint32Array;
  /**
   * [R·S] the network's memory before the first step of each row: zeros where an episode begins, else what the
   * weights of the actor had made of the steps before.
   */
  readonly initialStates: Float32Array;
  /** [R·O] the observation after the last step of each row: what a truncated or unfinished row bootstraps from */
  readonly finalObservations: Float32Array;
  /** [R] 1 = the episode reached an end state at the row's last step */
  readonly terminated: Uint8Array;
  /** [R] 1 = the episode was cut by a time limit at the row's last step */
  readonly truncated: Uint8Array;
  /** [R] a StopReason */
  readonly stopReasons: Uint8Array;
  /** [R] same number = same trajectory, within one actor seat */
  readonly trajectoryIds: Uint32Array;
  /** [R] seed of the instance the row comes from; of a branch that of its random stream */
  readonly seeds: Uint32Array;
  /** [N] each: the numbers that the environment gives with every step */
  readonly stepExtras: Readonly<Record<string, Float32Array>>;
  /**
   * [R] each: `episodeReturn` and `episodeLength` (NaN where the row ends no episode, or is a branch); the environment's own
   * counters (NaN where the row ends no episode; of a branch those at its own end). Where branches are played `branchAt`,
   * the step of the rollout's first row at which the row branches off, and `branchNumber`, 0 … count−1 (both NaN in that
   * first row).
   */
  readonly rowCounters: Readonly<Record<string, Float32Array>>;
}

/**
 * Which piece of work something is or answers: member `member` of group `group` of task `task`. Issued again after a
 * loss it keeps its key and counts its `attempt` up from 1; only one attempt is ever trained on. The fragments of a
 * seat are groups of one member: task `seat-<seat>`, group = the fragment's number from 1, member 0.
 */
export interface WorkKey {
  readonly task: string;
  readonly group: number;
  readonly member: number;
}

/** What an actor delivers: one fragment of its vector environment, or one episode of a group's member and its branches. */
export interface Rollout extends WorkKey {
  readonly runId: string;
  /** `rolloutIdOf` of the request it answers: the same attempt has the same id, however often it is delivered. */
  readonly rolloutId: string;
  readonly requestId: number;
  readonly attempt: number;
  readonly actorId: string;
  /** The actor thread's number within the whole fleet's order. */
  readonly seat: number;
  /** Seconds the actor spent stepping and inferring. */
  readonly collectSeconds: number;
  readonly columns: RolloutColumns;
}

/** How long a piece of work may go on. What is cut at a limit is delivered, and its row says so. */
export interface WorkLimits {
  /** Steps of one episode; 0 = as many as the environment allows. */
  readonly maxSteps: number;
  /** Seconds from the grant; 0 = none. */
  readonly deadlineSeconds: number;
}

/**
 * Branches of an episode: `count` continuations from each of some states that it visited, played after it in the same
 * instance, each with random streams of its own. They are rows of the episode's rollout, behind it.
 */
export interface BranchPlan {
  /**
   * Steps before which to branch, rising; those that the episode does not reach are left out. random = `states` of its
   * steps, each as likely as the others.
   */
  readonly at: readonly number[] | "random";
  /** States to branch from; where `at` is a list, its length. */
  readonly states: number;
  /** Branches from each. */
  readonly count: number;
  /** Steps of one branch; 0 = as many as the episode may have. */
  readonly maxSteps: number;
}

/** A piece of work for one actor seat. */
export interface RolloutRequest extends WorkKey {
  /** Rises with every request of the run and is never used again, whatever dies. */
  readonly requestId: number;
  /** 1 = the first time that this work is issued. */
  readonly attempt: number;
  readonly seat: number;
  /** What the work's randomness comes from; members of a group share the seed of their initial state. */
  readonly seed: number;
  /** continue = the next fragment of the seat's environments; reset = one episode from the state that `seed` gives. */
  readonly start: "continue" | "reset";
  readonly limits: WorkLimits;
  /** Of an episode from its start; null = none. */
  readonly branches: BranchPlan | null;
  /** The policy version the fragment must be collected with: at least this one, or exactly where `exact`. */
  readonly policyVersion: number;
  readonly exact: boolean;
}

export type DType = "float32" | "int32";

/** One named tensor of a snapshot. */
export interface NamedTensor {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly data: Float32Array | Int32Array;
}

/** All weights of one policy version, in a fixed order. Immutable. */
export interface WeightsSnapshot {
  readonly version: number;
  readonly tensors: readonly NamedTensor[];
}

/** One tensor of a manifest. */
export interface TensorEntry {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly bytes: number;
  /** SHA-256 of the tensor's bytes, little-endian and row-major, hex. */
  readonly sha256: string;
}

/** What one version of the weights is, and in which form a payload brings it. */
export interface WeightsManifest {
  readonly version: number;
  /** Version that the payload is a delta from; null = the payload is full, every tensor whole. */
  readonly parent: number | null;
  readonly tensors: readonly TensorEntry[];
  /** `rootHashOf(tensors)`: the same in whichever form the weights came. */
  readonly rootHash: string;
}

/** Deterministic: the same attempt of the same work of a run has the same id. */
export function rolloutIdOf(runId: string, work: WorkKey & { readonly attempt: number }): string {
  return `${runId}/${work.task}/${work.group}/${work.member}/${work.attempt}`;
}

export function rowCount(columns: Pick<RolloutColumns, "offsets">): number {
  return columns.offsets.length - 1;
}

export function stepCount(columns: RolloutColumns): number {
  return columns.behaviorLogprobs.length;
}
