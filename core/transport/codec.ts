/** Rollouts and weights as bytes: skein.v1.Rollout and skein.v1.Weights. Decoding views the bytes it is given. */
import { SkeinError } from "../errors.js";
import type { DType, NamedTensor, Rollout, RolloutColumns, WeightsSnapshot } from "../types.js";
import { ColumnReader, columnsComplaint, toColumn, type WireColumn } from "./columns.js";
import { corrupt, messageCodec } from "./schema.js";
import { arrayOf, bytesOf, type WireDType } from "./typed-bytes.js";

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

interface WireWeights {
  readonly version: number;
  readonly tensors: readonly {
    readonly name: string;
    readonly dtype: string | number;
    readonly shape: readonly number[];
    readonly data: Uint8Array;
  }[];
}

const rolloutMessage = messageCodec<WireRollout>("Rollout");
const weightsMessage = messageCodec<WireWeights>("Weights");

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

const wireDType: Readonly<Record<DType, WireDType>> = { float32: "DTYPE_FLOAT32", int32: "DTYPE_INT32" };

/** Copies the snapshot into bytes. Throws SHAPE where a tensor's data contradict its shape. */
export function encodeWeights(snapshot: WeightsSnapshot): Uint8Array {
  for (const tensor of snapshot.tensors) {
    const expected = elements(tensor.shape);
    if (tensor.data.length !== expected) {
      const got = `[${tensor.data.length}]`;
      throw new SkeinError("SHAPE", `tensor "${tensor.name}": expected data [${expected}], got ${got}`);
    }
  }
  return weightsMessage.encode({
    version: snapshot.version,
    tensors: snapshot.tensors.map(({ name, dtype, shape, data }) => ({
      name,
      dtype: wireDType[dtype],
      shape,
      data: bytesOf(data),
    })),
  });
}

/** Throws MESSAGE_CORRUPT where the bytes are no snapshot or a tensor's data contradict its shape. */
export function decodeWeights(bytes: Uint8Array): WeightsSnapshot {
  const wire = weightsMessage.decode(bytes);
  const tensors = wire.tensors.map(({ name, dtype, shape, data }): NamedTensor => {
    const where = `weights ${wire.version}, tensor "${name}"`;
    const array = arrayOf(where, dtype, data);
    const expected = elements(shape);
    if (array.length !== expected) throw corrupt(where, `data [${expected}]`, `[${array.length}]`);
    if (array instanceof Float32Array) return { name, dtype: "float32", shape, data: array };
    if (array instanceof Int32Array) return { name, dtype: "int32", shape, data: array };
    throw corrupt(where, "float32 or int32", String(dtype));
  });
  return { version: wire.version, tensors };
}

function elements(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}
