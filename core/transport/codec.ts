/** Rollouts as bytes: skein.v1.Rollout. Decoding views the bytes it is given. */
import { SkeinError } from "../errors.js";
import type { Rollout, RolloutColumns } from "../types.js";
import { columnParts, ColumnReader, columnsComplaint, toColumn, type WireColumn } from "./columns.js";
import { together } from "./parts.js";
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
/** All of a rollout but its columns. */
const rolloutHead = messageCodec<Omit<Rollout, "columns">>("Rollout");
/** Field numbers of Rollout. */
const COLUMNS = 7;
const STEP_EXTRAS = 8;
const ROW_COUNTERS = 9;

/** Everything of a rollout but its columns. */
function headOf(rollout: Omit<Rollout, "columns">): Omit<Rollout, "columns"> {
  const { runId, rolloutId, requestId, task, group, member, attempt, actorId, seat, collectSeconds } =
    rollout;
  return { runId, rolloutId, requestId, task, group, member, attempt, actorId, seat, collectSeconds };
}

/**
 * The rollout's bytes in pieces, of which the long ones are its own arrays: to be copied before those change. Every
 * column lies at a multiple of 4 bytes, so that a decoder can view it. Throws SHAPE where columns contradict one
 * another.
 */
export function rolloutParts(rollout: Rollout): Uint8Array[] {
  const c = rollout.columns;
  const complaint = columnsComplaint(c);
  if (complaint !== null) throw new SkeinError("SHAPE", `rollout ${rollout.rolloutId}: ${complaint}`);
  const parts = [rolloutHead.encode(headOf(rollout))];
  let at = parts[0]!.byteLength;
  const put = (field: number, column: WireColumn): void => {
    for (const part of columnParts(field, column, at)) {
      parts.push(part);
      at += part.byteLength;
    }
  };
  put(COLUMNS, toColumn("offsets", c.offsets));
  put(COLUMNS, toColumn("observations", c.observations, c.observationWidth));
  put(COLUMNS, toColumn("actions", c.actions, c.actionWidth));
  put(COLUMNS, toColumn("actionMasks", c.actionMasks, c.actionMaskWidth));
  put(COLUMNS, toColumn("anchorIndices", c.anchorIndices));
  put(COLUMNS, toColumn("anchorTexts", c.anchorTexts));
  const postWidth = c.postObservations.length === 0 ? 0 : c.observationWidth;
  put(COLUMNS, toColumn("postObservations", c.postObservations, postWidth));
  put(COLUMNS, toColumn("behaviorLogprobs", c.behaviorLogprobs));
  put(COLUMNS, toColumn("rewards", c.rewards));
  put(COLUMNS, toColumn("mask", c.mask));
  put(COLUMNS, toColumn("versionRunLengths", c.versionRunLengths));
  put(COLUMNS, toColumn("versionRunValues", c.versionRunValues));
  put(COLUMNS, toColumn("initialStates", c.initialStates, c.stateWidth));
  put(COLUMNS, toColumn("finalObservations", c.finalObservations, c.observationWidth));
  put(COLUMNS, toColumn("terminated", c.terminated));
  put(COLUMNS, toColumn("truncated", c.truncated));
  put(COLUMNS, toColumn("stopReasons", c.stopReasons));
  put(COLUMNS, toColumn("trajectoryIds", c.trajectoryIds));
  put(COLUMNS, toColumn("seeds", c.seeds));
  for (const [name, array] of Object.entries(c.stepExtras)) put(STEP_EXTRAS, toColumn(name, array));
  for (const [name, array] of Object.entries(c.rowCounters)) put(ROW_COUNTERS, toColumn(name, array));
  return parts;
}

/** Copies the rollout into bytes. Throws SHAPE where its columns contradict one another. */
export function encodeRollout(rollout: Rollout): Uint8Array {
  return together(rolloutParts(rollout));
}

/** Throws MESSAGE_CORRUPT where the bytes are no rollout or its columns contradict one another. */
export function decodeRollout(bytes: Uint8Array): Rollout {
  const wire = rolloutMessage.decode(bytes);
  const where = `rollout "${wire.rolloutId}"`;
  const reader = new ColumnReader(where, wire.columns);
  reader.assume(toColumn("actionMasks", new Uint8Array(0), 0));
  reader.assume(toColumn("initialStates", new Float32Array(0), 0));
  reader.assume(toColumn("anchorIndices", new Uint32Array(0)));
  reader.assume(toColumn("anchorTexts", new Uint8Array(0)));
  reader.assume(toColumn("postObservations", new Float32Array(0), 0));
  const observationWidth = reader.width("observations");
  const actionWidth = reader.width("actions");
  const actionMaskWidth = reader.width("actionMasks");
  const stateWidth = reader.width("initialStates");
  const postWidth = reader.width("postObservations") === 0 ? 0 : observationWidth;
  const columns: RolloutColumns = {
    observationWidth,
    actionWidth,
    actionMaskWidth,
    stateWidth,
    offsets: reader.uint32("offsets"),
    observations: reader.float32("observations", observationWidth),
    actions: reader.int32OrFloat32("actions", actionWidth),
    actionMasks: reader.uint8("actionMasks", actionMaskWidth),
    anchorIndices: reader.uint32("anchorIndices"),
    anchorTexts: reader.uint8("anchorTexts"),
    postObservations: reader.float32("postObservations", postWidth),
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
