/** What the wire benchmark sends, and how. */
import type { RolloutSender } from "../core/transport/transport.js";
import { rolloutIdOf, type Rollout } from "../core/types.js";

const OBSERVATION_WIDTH = 4;
/** Steps of a row: an episode of CartPole, about. */
const ROW_STEPS = 200;

/** A fragment as an actor of CartPole sends it, of `steps` steps: 42 bytes a step. */
export function wireRollout(steps: number, name: string): Rollout {
  const rows = Math.ceil(steps / ROW_STEPS);
  const floats = (length: number): Float32Array => Float32Array.from({ length }, (_, i) => Math.sin(i));
  const work = { task: name, group: 1, member: 0, attempt: 1 };
  return {
    ...{ runId: "bench", rolloutId: rolloutIdOf("bench", work), requestId: 1, ...work },
    ...{ actorId: name, seat: 0, collectSeconds: 1 },
    columns: {
      ...{ observationWidth: OBSERVATION_WIDTH, actionWidth: 1, actionMaskWidth: 0, stateWidth: 0 },
      offsets: Uint32Array.from({ length: rows + 1 }, (_, row) => Math.min(steps, row * ROW_STEPS)),
      observations: floats(steps * OBSERVATION_WIDTH),
      actions: new Int32Array(steps),
      actionMasks: new Uint8Array(0),
      behaviorLogprobs: floats(steps),
      rewards: floats(steps),
      mask: new Uint8Array(steps).fill(1),
      versionRunLengths: Uint32Array.of(steps),
      versionRunValues: Uint32Array.of(1),
      initialStates: new Float32Array(0),
      finalObservations: floats(rows * OBSERVATION_WIDTH),
      terminated: new Uint8Array(rows).fill(1),
      truncated: new Uint8Array(rows),
      stopReasons: new Uint8Array(rows).fill(1),
      trajectoryIds: new Uint32Array(rows),
      seeds: new Uint32Array(rows),
      stepExtras: { value: floats(steps), entropy: floats(steps) },
      rowCounters: { episodeReturn: floats(rows), episodeLength: floats(rows) },
    },
  };
}

/** Sends `rollout` again and again, twice `credits` ahead of the receiver, until the sender is closed. */
export async function keepSending(sender: RolloutSender, rollout: Rollout, credits: number): Promise<void> {
  const ahead: Promise<void>[] = [];
  for (;;) {
    const { taken, settled } = sender.send(rollout);
    settled.catch(() => undefined);
    ahead.push(taken);
    if (ahead.length < 2 * credits) continue;
    try {
      await ahead.shift();
    } catch {
      return;
    }
  }
}
