import { MessageChannel } from "node:worker_threads";
import { describe, expect, it } from "vitest";
import { ThreadLine } from "../../core/threads/line.js";
import type { FromThread, ThreadStart, ToThread } from "../../services/learner/messages.js";
import { freshStart, type TrainerState } from "../../services/learner/trainer.js";
import trainingThread from "../../services/learner/training-thread.js";
import { failureOf } from "../transport/helpers.js";
import { batchOf, CONFIG, MODEL, newTrainer } from "./training-fixture.js";

/** The training thread's task, over a real port, in this thread. */
function threadOf(changes: Partial<ThreadStart> = {}): ThreadLine<ToThread, FromThread> {
  const { port1, port2 } = new MessageChannel();
  const task = trainingThread({ port: port2, config: CONFIG, resumed: null, ...changes });
  return new ThreadLine("training thread", port1, task);
}

const train = (line: ThreadLine<ToThread, FromThread>, k: number) => {
  const rollouts = batchOf(k);
  return line.ask({ kind: "train", rollouts, learningRate: 0.01, version: k }, "trained", rollouts);
};

describe("the training thread", () => {
  it("says which engine runs and with what weights it begins", async () => {
    const line = threadOf();
    const { engine, detail, weights } = await line.answer("ready");
    expect(engine).toBe("tfjs:wasm");
    expect(detail).toMatch(/WebAssembly/);
    expect(weights).toEqual(freshStart(MODEL, CONFIG.run.seed).weights);
    await line.stop();
  });

  it("trains like a trainer in this thread, and gives the same state", async () => {
    const line = threadOf();
    const here = await newTrainer();
    await line.answer("ready");
    for (const k of [1, 2]) {
      const { weights, stats, updates, skipped } = await here.train(batchOf(k), 0.01, k);
      expect((await train(line, k)).batch).toMatchObject({ weights, stats, updates, skipped });
    }
    const { state } = await line.ask({ kind: "state" }, "state");
    expect(state).toEqual(await here.state());
    // What it has given away it still has.
    expect((await line.ask({ kind: "state" }, "state")).state).toEqual(state);
    await line.stop();
  });

  it("goes on from a checkpoint's state", async () => {
    const here = await newTrainer();
    await here.train(batchOf(1), 0.01, 1);
    const line = threadOf({ resumed: await here.state() });
    expect((await line.answer("ready")).weights).toEqual(here.weights);
    const { weights } = await here.train(batchOf(2), 0.01, 2);
    expect((await train(line, 2)).batch.weights).toEqual(weights);
    await line.stop();
  });

  it("says what is wrong with what it was started with", async () => {
    const state: TrainerState = await (await newTrainer()).state();
    const model = { ...CONFIG.model, hidden: [7] };
    const other = threadOf({ resumed: state, config: { ...CONFIG, model } });
    expect((await failureOf(other.answer("ready"))).code).toBe("CHECKPOINT_MISMATCH");
    const recipe = threadOf({ config: { ...CONFIG, recipe: { id: "pppo", params: {}, modifiers: [] } } });
    expect((await failureOf(recipe.answer("ready"))).code).toBe("RECIPE_UNKNOWN");
  });

  it("ends at a batch it cannot train on, and says why", async () => {
    const line = threadOf();
    await line.answer("ready");
    const [first, second] = batchOf(1);
    const rollouts = [first!, { ...second!, columns: { ...second!.columns, observationWidth: 3 } }];
    const batch = { kind: "train", rollouts, learningRate: 0.01, version: 1 } as const;
    const question = line.ask(batch, "trained", rollouts);
    expect(await failureOf(question)).toMatchObject({ code: "SHAPE" });
    expect(await failureOf(line.ask({ kind: "state" }, "state"))).toMatchObject({ code: "SHAPE" });
  });
});
