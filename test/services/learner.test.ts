import { mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { SkeinError } from "../../core/errors.js";
import type { RunEvent } from "../../core/progress.js";
import { createLogger } from "../../core/telemetry/logger.js";
import { box } from "../../core/env/spaces.js";
import type { LearnerStage } from "../../core/telemetry/tables/learner.js";
import { StageClock } from "../../core/telemetry/stage-clock.js";
import { Watchdog } from "../../core/watchdog.js";
import { checkpointHash, readCheckpoint, type Checkpoint } from "../../core/weights/checkpoint.js";
import { CheckpointWriter } from "../../core/weights/checkpoint-writer.js";
import { Checkpoints } from "../../services/learner/checkpoints.js";
import { Learner } from "../../services/learner/learner.js";
import { RolloutCheck } from "../../services/learner/rollout-check.js";
import { runToEnd } from "../../services/learner/run-to-end.js";
import { RunFolder } from "../../services/learner/run-folder.js";
import { freshStart, type Training } from "../../services/learner/trainer.js";
import { eventually, failureOf } from "../transport/helpers.js";
import { parsePrometheus, valueOf } from "../telemetry/prometheus.js";
import { deliveryOf, type KeptDelivery } from "./fixture.js";
import { intakeOf, RULES, type KeptIntake } from "./learner-fixture.js";
import { batchOf, BATCH_STEPS, CONFIG, MODEL, newTrainer, RECIPE } from "./training-fixture.js";

let path: string;
const open: { close(): Promise<void> }[] = [];
beforeEach(async () => {
  path = await mkdtemp(join(tmpdir(), "skein-learner-"));
});
afterEach(async () => {
  for (const thing of open.splice(0)) await thing.close();
  await rm(path, { recursive: true });
});

const never = new AbortController().signal;

interface Small extends KeptIntake {
  readonly learner: Learner;
  readonly events: RunEvent[];
}

interface SmallOptions {
  readonly from?: Checkpoint | null;
  readonly ack?: "onTrain" | "onCheckpoint";
  readonly now?: () => number;
  readonly watchdog?: Pick<Watchdog, "progress" | "waiting">;
}

const UNWATCHED = { progress: () => undefined, waiting: () => () => undefined };

/** A learner over `training`; `envSteps` before it stops by itself. */
async function learnerOf(
  training: Training,
  envSteps: number,
  { from = null, ack = "onTrain", now = () => 0, watchdog = UNWATCHED }: SmallOptions = {},
): Promise<Small> {
  const config = { ...CONFIG, stop: { ...CONFIG.stop, envSteps } };
  const resumed = from?.state ?? null;
  const events: RunEvent[] = [];
  const emit = (event: RunEvent): void => void events.push(event);
  const environmentId = "CartPole-v1";
  const writer = await CheckpointWriter.open(join(path, "checkpoints"));
  const folder = await RunFolder.open(path, {
    ...{ config, environmentId, fromEnvSteps: resumed?.envSteps ?? 0 },
    warn: (message) => emit({ event: "notice", level: "warn", message }),
  });
  open.push(writer, folder);
  const spec = { ...RULES.spec, observationSpace: box([4], -1, 1) };
  const check = new RolloutCheck({ ...RULES, spec });
  const kept = intakeOf(
    { sampler: { batchSteps: BATCH_STEPS }, maxPolicyLag: 9, seats: 2, ack, check },
    null,
    from,
  );
  const { intake, ledger, settlements, metrics } = kept;
  const log = createLogger({ role: "learner", level: "silent" });
  const shared = { settlements, metrics, log, now };
  const checkpoints = new Checkpoints({ settings: config.learner, writer, notice: emit, ...shared });
  const learner = new Learner({
    ...{
      config,
      recipe: RECIPE,
      training,
      intake,
      ledger,
      checkpoints,
      folder,
      resumed,
      emit,
      ...shared,
      watchdog,
    },
    weights: from?.weights ?? freshStart(MODEL, CONFIG.run.seed).weights,
    time: new StageClock<LearnerStage>(metrics.seconds, now, "waiting"),
  });
  learner.begin(resumed?.policyVersion ?? 0);
  return { ...kept, learner, events };
}

function deliver({ intake }: Pick<Small, "intake">, ...batches: number[]): KeptDelivery[] {
  return batches.flatMap(batchOf).map((rollout) => {
    const delivery = deliveryOf(rollout);
    intake.deliver(delivery);
    return delivery;
  });
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
const checkpoints = async (): Promise<string[]> =>
  (await readdir(join(path, "checkpoints"))).filter((name) => !name.startsWith(".")).sort();
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
    deliver(small, 1, 2, 3);
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
        deliver(small, 2);
        expect(small.intake.held.steps).toBe(2 * BATCH_STEPS);
      }
      return train(...batch);
    });
    const small = await learnerOf(training, 2 * BATCH_STEPS);
    deliver(small, 1);
    await small.learner.run(nobody, never);
    expect(small.learner.progress.envSteps).toBe(2 * BATCH_STEPS);
    expect(small.ledger.state.settled).toEqual({ "seat-0": [[1, 2]], "seat-1": [[1, 2]] });
  });

  it("asked to stop during a batch, finishes it and leaves a checkpoint of it", async () => {
    const stop = new AbortController();
    const training = around(await newTrainer(), (call, train) => (...batch) => {
      if (call === 3) stop.abort();
      return train(...batch);
    });
    const small = await learnerOf(training, 6 * BATCH_STEPS);
    const { learner, events } = small;
    deliver(small, 1, 2, 3, 4);
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
    const small = await learnerOf(training, 6 * BATCH_STEPS);
    const { learner } = small;
    deliver(small, 1, 2, 3, 4, 5);
    const failure = await failureOf(learner.run(nobody, never));
    expect(failure.message).toBe("the training thread died: out of memory");
    expect(learner.progress.policyVersion).toBe(3);
    expect(await checkpoints()).toEqual([fileOf(2)]);
    expect((await newest()).state.policyVersion).toBe(2);
  });

  it("leaves a checkpoint where it is the coordinator that fails", async () => {
    const small = await learnerOf(await newTrainer(), 6 * BATCH_STEPS);
    deliver(small, 1);
    const gone = { advance: () => Promise.reject(new SkeinError("UNAVAILABLE", "nobody there")) };
    expect((await failureOf(small.learner.run(gone, never))).code).toBe("UNAVAILABLE");
    expect(await checkpoints()).toEqual([fileOf(1)]);
  });

  it("resumed from a checkpoint ends with the checkpoint of a run that never stopped", async () => {
    const straight = await learnerOf(await newTrainer(), 6 * BATCH_STEPS);
    deliver(straight, 1, 2, 3, 4, 5, 6);
    await straight.learner.run(nobody, never);
    const expected = checkpointHash(await newest());
    await rm(join(path, "checkpoints"), { recursive: true });

    const stop = new AbortController();
    const first = around(await newTrainer(), (call, train) => (...batch) => {
      if (call === 3) stop.abort();
      return train(...batch);
    });
    const before = await learnerOf(first, 6 * BATCH_STEPS);
    deliver(before, 1, 2, 3, 4);
    await before.learner.run(nobody, stop.signal);
    const checkpoint = await newest();
    const { weights, state, optimizer, reference } = checkpoint;
    const { random, trackers } = state;
    const trainer = await newTrainer({
      ...{ weights, random, trackers, reference },
      optimizer: { steps: state.optimizerSteps, tensors: optimizer },
    });
    const after = await learnerOf(trainer, 6 * BATCH_STEPS, { from: checkpoint });
    deliver(after, 4, 5, 6);
    expect(await after.learner.run(nobody, never)).toBe("steps");
    expect(checkpointHash(await newest())).toBe(expected);
  });

  it("goes on as the version it is told, with the same weights, and labels everything with it from there", async () => {
    const small = await learnerOf(await newTrainer(), 2 * BATCH_STEPS);
    const { tensors } = small.learner.weights;
    small.learner.begin(6);
    expect(small.learner.weights).toEqual({ version: 6, tensors });
    deliver(small, 1);
    const stop = new AbortController();
    const published: number[] = [];
    await small.learner.run(
      {
        advance: () => {
          published.push(small.learner.weights.version);
          stop.abort();
          return Promise.resolve(1);
        },
      },
      stop.signal,
    );
    expect(published).toEqual([7]);
    expect(await checkpoints()).toEqual([fileOf(7)]);
    const { weights, state } = await newest();
    expect([weights.version, state.policyVersion]).toEqual([7, 7]);
    expect(small.report()).toContainEqual(expect.objectContaining({ verdict: "trained", version: 7 }));
  });

  it("that was shut out by another learner writes no checkpoint, whoever told it", async () => {
    const refused = new SkeinError("REFUSED", "another learner has taken over");
    const first = await learnerOf(await newTrainer(), 6 * BATCH_STEPS);
    deliver(first, 1);
    const failing = { advance: () => Promise.reject(refused) };
    expect((await failureOf(first.learner.run(failing, never))).code).toBe("REFUSED");
    const second = await learnerOf(await newTrainer(), 6 * BATCH_STEPS);
    await second.learner.run(nobody, AbortSignal.abort(refused));
    expect(await checkpoints()).toEqual([]);
  });

  it("whose run folder another learner has opened ends at its next checkpoint, and leaves none", async () => {
    const training = around(await newTrainer(), (call, train) => async (...batch) => {
      if (call === 2) open.push(await CheckpointWriter.open(join(path, "checkpoints")));
      return train(...batch);
    });
    const small = await learnerOf(training, 6 * BATCH_STEPS);
    deliver(small, 1, 2, 3);
    const failure = await failureOf(small.learner.run(nobody, never));
    expect(failure).toMatchObject({ code: "REFUSED" });
    expect(failure.message).toMatch(/another learner has opened this run folder/);
    expect(await checkpoints()).toEqual([]);
  });

  it("goes on where a checkpoint cannot be written, says so, and settles once the next one is", async () => {
    const blocked = join(path, "checkpoints", fileOf(2));
    await mkdir(join(blocked, "in the way"), { recursive: true });
    const small = await learnerOf(await newTrainer(), 4 * BATCH_STEPS, { ack: "onCheckpoint" });
    const deliveries = deliver(small, 1, 2, 3, 4);
    const settled: number[] = [];
    await small.learner.run(
      {
        advance: () => {
          small.report();
          settled.push(deliveries.filter(({ answer }) => answer === "ack").length);
          return Promise.resolve(0);
        },
      },
      never,
    );
    expect(settled).toEqual([0, 0, 0, 0]);
    expect(deliveries.every(({ answer }) => answer === "ack")).toBe(true);
    expect(small.events).toContainEqual(
      expect.objectContaining({
        ...{ event: "notice", level: "warn", code: "CHECKPOINT_UNWRITABLE" },
        message: expect.stringMatching(
          /^cannot write checkpoint .*00000002\.safetensors: .*The run goes on: there is none yet; tried again at version 4$/,
        ) as string,
      }),
    );
    const page = parsePrometheus(await small.metrics.registry.metrics());
    expect(valueOf(page, "skein_learner_failed_checkpoints_total")).toBe(1);
    await rm(blocked, { recursive: true });
    expect((await newest()).state.policyVersion).toBe(4);
  });

  it("fails where its last checkpoint cannot be written", async () => {
    await mkdir(join(path, "checkpoints", fileOf(1), "in the way"), { recursive: true });
    const small = await learnerOf(await newTrainer(), BATCH_STEPS);
    deliver(small, 1);
    expect((await failureOf(small.learner.run(nobody, never))).code).toBe("CHECKPOINT_UNWRITABLE");
  });

  it("publishes no weights that are not finite, and keeps the checkpoint before them", async () => {
    const training = around(await newTrainer(), (call, train) => async (...batch) => {
      const trained = await train(...batch);
      if (call === 3) (trained.weights.tensors[1]!.data as Float32Array)[0] = Number.NaN;
      return trained;
    });
    const small = await learnerOf(training, 6 * BATCH_STEPS);
    deliver(small, 1, 2, 3, 4);
    const published: number[] = [];
    const upstream = {
      advance: () => {
        published.push(small.learner.weights.version);
        return Promise.resolve(1);
      },
    };
    const failure = await failureOf(small.learner.run(upstream, never));
    expect(failure.code).toBe("DIVERGED");
    expect(failure.message).toMatch(/^version 3: the weights \S+ are not finite any more/);
    expect(published).toEqual([1, 2]);
    expect(await checkpoints()).toEqual([fileOf(2)]);
  });

  it("carries outcomes that nobody has confirmed into the checkpoint, and out of it again", async () => {
    const small = await learnerOf(await newTrainer(), BATCH_STEPS);
    deliver(small, 1);
    await small.learner.run(nobody, never);
    const { outcomes } = await newest();
    expect(outcomes.map(({ verdict, version }) => [verdict, version])).toEqual([
      ["trained", 1],
      ["trained", 1],
    ]);
    const after = await learnerOf(await newTrainer(), BATCH_STEPS, { from: await newest() });
    const [first, second] = deliver(after, 1);
    expect([first!.answer, second!.answer]).toEqual(["", ""]);
    expect(after.report()).toEqual(outcomes);
    expect([first!.answer, second!.answer]).toEqual(["ack", "ack"]);
  });

  it("in which nothing goes on ends as STALLED, says what waits for what, and leaves its checkpoint", async () => {
    let clock = 0;
    const log = createLogger({ role: "learner", level: "silent" });
    const watchdog = new Watchdog({ seconds: 60, role: "learner", now: () => clock, log });
    open.push({ close: () => Promise.resolve(watchdog.close()) });
    const small = await learnerOf(await newTrainer(), 6 * BATCH_STEPS, { watchdog });
    deliver(small, 1);
    const membership = { ...nobody, failed: new Promise<never>(() => undefined) };
    const training = { failed: new Promise<never>(() => undefined) };
    const running = runToEnd({ learner: small.learner, membership, training, watchdog }, never);
    await eventually("the batch that there is, trained", () => small.learner.progress.policyVersion === 1);
    for (let look = 0; look < 6; look++) {
      clock += 12;
      await watchdog.look();
    }
    const failure = await failureOf(running);
    expect(failure.code).toBe("STALLED");
    expect(failure.message).toMatch(
      /no progress for 60 s: the next batch waits for rollouts of the actors \(since \d+ s\)$/,
    );
    expect(await checkpoints()).toEqual([fileOf(1)]);
  });

  it("is at one thing at a time: the parts add up to the wall time", async () => {
    let clock = 0;
    const now = (): number => (clock += 1);
    const small = await learnerOf(await newTrainer(), 3 * BATCH_STEPS, { now });
    const from = clock;
    deliver(small, 1, 2, 3);
    await small.learner.run(nobody, never);
    const page = parsePrometheus(await small.metrics.registry.metrics());
    const parts = ["waiting", "training", "publishing", "checkpointing"].map((part) =>
      valueOf(page, "skein_learner_seconds_total", { stage: part }),
    );
    expect(parts.every((seconds) => seconds > 0)).toBe(true);
    const sum = parts.reduce((a, b) => a + b, 0);
    // The split began with the learner, before this clock was read, and ends at its own last look.
    expect(sum).toBeGreaterThanOrEqual(clock - from);
    expect(sum).toBeLessThanOrEqual(clock);
  });

  it("shows where the time of each batch went", async () => {
    const seconds = { assemble: 1, evaluate: 2, derive: 3, minibatch: 5, update: 4 };
    const training = around(await newTrainer(), (_, train) => async (...batch) => ({
      ...(await train(...batch)),
      seconds,
    }));
    const small = await learnerOf(training, 2 * BATCH_STEPS);
    deliver(small, 1, 2);
    const { learner, metrics } = small;
    await learner.run(nobody, never);
    const page = parsePrometheus(await metrics.registry.metrics());
    const sums = ["assemble", "evaluate", "derive", "minibatch", "engine_update"].map((part) =>
      valueOf(page, `skein_learner_${part}_seconds_sum`),
    );
    expect(sums).toEqual([2, 4, 6, 10, 8]);
  });
});
