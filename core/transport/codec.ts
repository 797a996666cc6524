/** Rollouts as bytes: skein.v1.Rollout. Decoding views the bytes it is given. */
import { SkeinError } from "../errors.js";
import type { Rollout, RolloutColumns } from "../types.js";
import { ColumnReader, columnsComplaint, toColumn, type WireColumn } from "./columns.js";
import { messageCodec } from "./schema.js";

interface WireRollout {
  readonly runId: string;
  readonly rolloutId: string;
  readonly actorId: string;
  readonly seat: number;
  readonly requestId: number;
  readonly task: string;
  readonly group: number;
  readonly member: number;
  readonly attempt: number;
  readonly collectSeconds: number;
  readonly columns: readonly WireColumn[];
  readonly stepExtras: readonly WireColumn[];
  readonly rowCounters: readonly WireColumn[];
}

const rolloutMessage = messageCodec<WireRollout>("Rollout");

/** Everything of a rollout but its columns. */
function headOf(rollout: Omit<Rollout, "columns">): Omit<Rollout, "columns"> {
  const { runId, rolloutId, requestId, task, group, member, attempt, actorId, seat, collectSeconds } =
    rollout;
  return { runId, rolloutId, requestId, task, group, member, attempt, actorId, seat, collectSeconds };
}

/** Copies the rollout into bytes. Throws SHAPE where its columns contradict one another. */
export function encodeRollout(rollout: Rollout): Uint8Array {
  const c = rollout.columns;
  const complaint = columnsComplaint(c);
  if (complaint !== null) throw new SkeinError("SHAPE", `rollout ${rollout.rolloutId}: ${complaint}`);
  return rolloutMessage.encode({
    ...headOf(rollout),
    columns: [
      toColumn("offsets", c.offsets),
      toColumn("observations", c.observations, c.observationWidth),
      toColumn("actions", c.actions, c.actionWidth),
      toColumn("actionMasks", c.actionMasks, c.actionMaskWidth),
      toColumn("behaviorLogprobs", c.behaviorLogprobs),
      toColumn("rewards", c.rewards),
      toColumn("mask", c.mask),
      toColumn("versionRunLengths", c.versionRunLengths),
      toColumn("versionRunValues", c.versionRunValues),
      toColumn("initialStates", c.initialStates, c.stateWidth),
      toColumn("finalObservations", c.finalObservations, c.observationWidth),
      toColumn("terminated", c.terminated),
      toColumn("truncated", c.truncated),
      toColumn("stopReasons", c.stopReasons),
      toColumn("trajectoryIds", c.trajectoryIds),
      toColumn("seeds", c.seeds),
    ],
    stepExtras: Object.entries(c.stepExtras).map(([name, array]) => toColumn(name, array)),
    rowCounters: Object.entries(c.rowCounters).map(([name, array]) => toColumn(name, array)),
  });
}

/** Throws MESSAGE_CORRUPT where the bytes are no rollout or its columns contradict one another. */
export function decodeRollout(bytes: Uint8Array): Rollout {
  const wire = rolloutMessage.decode(bytes);
  const where = `rollout "${wire.rolloutId}"`;
  const reader = new ColumnReader(where, wire.columns);
  reader.assume(toColumn("actionMasks", new Uint8Array(0), 0));
  reader.assume(toColumn("initialStates", new Float32Array(0), 0));
  const observationWidth = reader.width("observations");
  const actionWidth = reader.width("actions");
  const actionMaskWidth = reader.width("actionMasks");
  const stateWidth = reader.width("initialStates");
  const columns: RolloutColumns = {
    observationWidth,
    actionWidth,
    actionMaskWidth,
    stateWidth,
    offsets: reader.uint32("offsets"),
    observations: reader.float32("observations", observationWidth),
    actions: reader.int32OrFloat32("actions", actionWidth),
    actionMasks: reader.uint8("actionMasks", actionMaskWidth),
    behaviorLogprobs: reader.float32("behaviorLogprobs"),
    rewards: reader.float32("rewards"),
    mask: reader.uint8("mask"),
    versionRunLengths: reader.uint32("versionRunLengths"),
    versionRunValues: reader.uint32("versionRunValues"),
    initialStates: reader.float32("initialStates", stateWidth),
    finalObservations: reader.float32("finalObservations", observationWidth),
    terminated: reader.uint8("terminated"),
    truncated: reader.uint8("truncated"),
    stopReasons: reader.uint8("stopReasons"),
    trajectoryIds: reader.uint32("trajectoryIds"),
    seeds: reader.uint32("seeds"),
    stepExtras: new ColumnReader(`${where}, step extras`, wire.stepExtras).remaining(),
    rowCounters: new ColumnReader(`${where}, row counters`, wire.rowCounters).remaining(),
  };
  reader.expectEmpty();
  const complaint = columnsComplaint(columns);
  if (complaint !== null) throw new SkeinError("MESSAGE_CORRUPT", `${where}: ${complaint}`);
  return { ...headOf(wire), columns };
}
