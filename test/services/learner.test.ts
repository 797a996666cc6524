import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { SkeinError } from "../../core/errors.js";
import type { RunEvent } from "../../core/progress.js";
import { createLogger } from "../../core/telemetry/logger.js";
import { createLearnerMetrics } from "../../core/telemetry/metrics.js";
import { checkpointHash, readCheckpoint, type Checkpoint } from "../../core/weights/checkpoint.js";
import { Intake } from "../../services/learner/intake.js";
import { Learner } from "../../services/learner/learner.js";
import { RunFolder } from "../../services/learner/run-folder.js";
import { freshStart, type Training } from "../../services/learner/trainer.js";
import { failureOf } from "../transport/helpers.js";
import { parsePrometheus, valueOf } from "../telemetry/prometheus.js";
import { batchOf, BATCH_STEPS, CONFIG, MODEL, newTrainer, RECIPE } from "./training-fixture.js";

let path: string;
const folders: RunFolder[] = [];
beforeEach(async () => {
  path = await mkdtemp(join(tmpdir(), "skein-learner-"));
});
afterEach(async () => {
  for (const folder of folders.splice(0)) await folder.close();
  await rm(path, { recursive: true });
});

const FRESH = { policyVersion: 0, disposedSteps: 0, seatSequences: [] };
const never = new AbortController().signal;

interface Small {
  readonly learner: Learner;
  readonly intake: Intake;
  readonly events: RunEvent[];
  readonly metrics: ReturnType<typeof createLearnerMetrics>;
}

/** A learner over `training`; `envSteps` before it stops by itself. */
async function learnerOf(
  training: Training,
  envSteps: number,
  from: Checkpoint | null = null,
): Promise<Small> {
  const config = { ...CONFIG, stop: { ...CONFIG.stop, envSteps } };
  const resumed = from?.state ?? null;
  const folder = await RunFolder.open(path, config, "CartPole-v1", resumed?.envSteps ?? 0);
  folders.push(folder);
  const options = { batchSteps: BATCH_STEPS, maxPolicyLag: 9, seats: 2, onDrop: () => undefined };
  const intake = new Intake(options, resumed ?? FRESH);
  const events: RunEvent[] = [];
  const metrics = createLearnerMetrics({ processMetrics: false });
  const learner = new Learner({
    ...{ config, recipe: RECIPE, training, intake, folder, metrics, resumed },
    weights: from?.weights ?? freshStart(MODEL, CONFIG.run.seed).weights,
    emit: (event) => void events.push(event),
    log: createLogger({ role: "learner", level: "silent" }),
    now: () => 0,
  });
  return { learner, intake, events, metrics };
}

function deliver(intake: Intake, ...batches: number[]): void {
  for (const k of batches) for (const rollout of batchOf(k)) intake.add(rollout);
}

/** The real one, with something happening around a call of `train`. */
function around(
  training: Training,
  change: (call: number, train: Training["train"]) => Training["train"],
): Training {
  let calls = 0;
  const train: Training["train"] = (...given) => training.train(...given);
  return {
    train: (...given) => change(++calls, train)(...given),
    state: () => training.state(),
  };
}

const nobody = { advance: () => Promise.resolve(0) };
const checkpoints = async (): Promise<string[]> => (await readdir(join(path, "checkpoints"))).sort();
const fileOf = (version: number): string => `checkpoint-0000000${version}.safetensors`;
const newest = async (): Promise<Checkpoint> =>
  readCheckpoint(join(path, "checkpoints", (await checkpoints()).pop()!));

describe("a learner", () => {
  it("publishes each version once the whole of its batch is trained, with the weights that training gave", async () => {
    const given: unknown[] = [];
    const training = around(await newTrainer(), (_, train) => async (...batch) => {
      expect(small.learner.progress.policyVersion).toBe(given.length);
      const trained = await train(...batch);
      given.push(trained.weights);
      return trained;
    });
    const small = await learnerOf(training, 3 * BATCH_STEPS);
    deliver(small.intake, 1, 2, 3);
    const published: unknown[] = [];
    const reason = await small.learner.run(
      {
        advance: () => {
          published.push(small.learner.weights);
          expect(small.learner.progress).toMatchObject({
            policyVersion: published.length,
            updates: 6 * published.length,
            envSteps: BATCH_STEPS * published.length,
          });
          return Promise.resolve(2);
        },
      },
      never,
    );
    expect(reason).toBe("steps");
    expect(published).toEqual(given);
    expect(published).toHaveLength(3);
  });

  it("takes rollouts in while a batch is being trained, and trains on them next", async () => {
    const training = around(await newTrainer(), (call, train) => async (...batch) => {
      if (call === 1) {
        deliver(small.intake, 2);
        expect(small.intake.heldSteps).toBe(2 * BATCH_STEPS);
      }
      return train(...batch);
    });
    const small = await learnerOf(training, 2 * BATCH_STEPS);
    deliver(small.intake, 1);
    await small.learner.run(nobody, never);
    expect(small.learner.progress.envSteps).toBe(2 * BATCH_STEPS);
    expect(small.intake.disposedSequences).toEqual([
      [0, 2],
      [1, 2],
    ]);
  });

  it("asked to stop during a batch, finishes it and leaves a checkpoint of it", async () => {
    const stop = new AbortController();
    const training = around(await newTrainer(), (call, train) => (...batch) => {
      if (call === 3) stop.abort();
      return train(...batch);
    });
    const { learner, intake, events } = await learnerOf(training, 6 * BATCH_STEPS);
    deliver(intake, 1, 2, 3, 4);
    expect(await learner.run(nobody, stop.signal)).toBe("stopped");
    expect(learner.progress.policyVersion).toBe(3);
    expect(await checkpoints()).toEqual([fileOf(2), fileOf(3)]);
    const checkpoint = await newest();
    expect(checkpoint.weights).toEqual(learner.weights);
    expect(events.at(-1)).toMatchObject({
      message: `checkpoint of version 3: sha256 ${checkpointHash(checkpoint)}`,
    });
  });

  it("ends with the error of a batch that failed; the last checkpoint stays", async () => {
    const training = around(await newTrainer(), (call, train) => async (...batch) => {
      if (call === 4) throw new SkeinError("INTERNAL", "the training thread died: out of memory");
      return train(...batch);
    });
    const { learner, intake } = await learnerOf(training, 6 * BATCH_STEPS);
    deliver(intake, 1, 2, 3, 4, 5);
    const failure = await failureOf(learner.run(nobody, never));
    expect(failure.message).toBe("the training thread died: out of memory");
    expect(learner.progress.policyVersion).toBe(3);
    expect(await checkpoints()).toEqual([fileOf(2)]);
    expect((await newest()).state.policyVersion).toBe(2);
  });

  it("leaves a checkpoint where it is the coordinator that fails", async () => {
    const { learner, intake } = await learnerOf(await newTrainer(), 6 * BATCH_STEPS);
    deliver(intake, 1);
    const gone = { advance: () => Promise.reject(new SkeinError("UNAVAILABLE", "nobody there")) };
    expect((await failureOf(learner.run(gone, never))).code).toBe("UNAVAILABLE");
    expect(await checkpoints()).toEqual([fileOf(1)]);
  });

  it("resumed from a checkpoint ends with the checkpoint of a run that never stopped", async () => {
    const straight = await learnerOf(await newTrainer(), 6 * BATCH_STEPS);
    deliver(straight.intake, 1, 2, 3, 4, 5, 6);
    await straight.learner.run(nobody, never);
    const expected = checkpointHash(await newest());
    await rm(join(path, "checkpoints"), { recursive: true });

    const stop = new AbortController();
    const first = around(await newTrainer(), (call, train) => (...batch) => {
      if (call === 3) stop.abort();
      return train(...batch);
    });
    const before = await learnerOf(first, 6 * BATCH_STEPS);
    deliver(before.intake, 1, 2, 3, 4);
    await before.learner.run(nobody, stop.signal);
    const checkpoint = await newest();
    const { weights, state, optimizer } = checkpoint;
    const { random, trackers } = state;
    const trainer = await newTrainer({
      ...{ weights, random, trackers },
      optimizer: { steps: state.optimizerSteps, tensors: optimizer },
    });
    const after = await learnerOf(trainer, 6 * BATCH_STEPS, checkpoint);
    deliver(after.intake, 4, 5, 6);
    expect(await after.learner.run(nobody, never)).toBe("steps");
    expect(checkpointHash(await newest())).toBe(expected);
  });

  it("shows where the time of each batch went", async () => {
    const seconds = { assemble: 1, evaluate: 2, derive: 3, update: 4 };
    const training = around(await newTrainer(), (_, train) => async (...batch) => ({
      ...(await train(...batch)),
      seconds,
    }));
    const { learner, intake, metrics } = await learnerOf(training, 2 * BATCH_STEPS);
    deliver(intake, 1, 2);
    await learner.run(nobody, never);
    const page = parsePrometheus(await metrics.registry.metrics());
    const sums = ["assemble", "evaluate", "derive", "engine_update"].map((part) =>
      valueOf(page, `skein_learner_${part}_seconds_sum`),
    );
    expect(sums).toEqual([2, 4, 6, 8]);
  });
});
