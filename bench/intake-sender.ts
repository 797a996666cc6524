/**
 * Sends fragments of CartPole's shape to a learner as fast as it takes them. Started by intake.ts; the columns are
 * drawn once, only the work keys move on.
 */
import { runConfigSchema } from "../core/config/schema.js";
import { OPEN } from "../core/security/credentials.js";
import { Random } from "../core/random.js";
import { createTransport } from "../core/transport/create.js";
import { rolloutIdOf, StopReason, type RolloutColumns } from "../core/types.js";

export interface IntakeSenderOptions {
  readonly address: string;
  readonly runId: string;
  readonly seat: number;
  /** Environment instances, and steps of each, in a fragment. */
  readonly environments: number;
  readonly fragmentSteps: number;
}

function cartPoleColumns(environments: number, fragmentSteps: number): RolloutColumns {
  const random = new Random(1);
  const steps = environments * fragmentSteps;
  const normals = (length: number): Float32Array => Float32Array.from({ length }, () => random.normal());
  return {
    ...{ observationWidth: 4, actionWidth: 1, actionMaskWidth: 0, stateWidth: 0 },
    offsets: Uint32Array.from({ length: environments + 1 }, (_, row) => row * fragmentSteps),
    observations: normals(4 * steps),
    actions: Int32Array.from({ length: steps }, () => random.integer(2)),
    actionMasks: new Uint8Array(0),
    ...{ anchorIndices: new Uint32Array(0), anchorTexts: new Uint8Array(0) },
    postObservations: new Float32Array(0),
    behaviorLogprobs: new Float32Array(steps).fill(Math.log(0.5)),
    rewards: new Float32Array(steps).fill(1),
    mask: new Uint8Array(steps).fill(1),
    versionRunLengths: Uint32Array.of(steps),
    versionRunValues: Uint32Array.of(0),
    initialStates: new Float32Array(0),
    finalObservations: normals(4 * environments),
    terminated: new Uint8Array(environments),
    truncated: new Uint8Array(environments),
    stopReasons: new Uint8Array(environments).fill(StopReason.fragment),
    trajectoryIds: Uint32Array.from({ length: environments }, (_, row) => row),
    seeds: new Uint32Array(environments),
    stepExtras: {},
    rowCounters: {
      episodeReturn: new Float32Array(environments).fill(Number.NaN),
      episodeLength: new Float32Array(environments).fill(Number.NaN),
    },
  };
}

async function send({ address, runId, seat, ...shape }: IntakeSenderOptions): Promise<void> {
  const wires = runConfigSchema.shape.transport.parse({});
  const sender = createTransport(wires, OPEN).connectRollouts(address);
  const columns = cartPoleColumns(shape.environments, shape.fragmentSteps);
  const ahead: Promise<void>[] = [];
  let over = false;
  for (let group = 1; !over; group++) {
    const work = { task: `seat-${seat}`, group, member: 0, attempt: 1 };
    const ids = { runId, rolloutId: rolloutIdOf(runId, work), requestId: seat * 1e9 + group };
    const { taken, settled } = sender.send({
      ...work,
      ...ids,
      actorId: "bench",
      seat,
      collectSeconds: 0,
      columns,
    });
    settled.catch(() => (over = true));
    ahead.push(taken.catch(() => undefined));
    if (ahead.length > wires.credits) await ahead.shift();
  }
}

await send(JSON.parse(process.argv[2]!) as IntakeSenderOptions);
