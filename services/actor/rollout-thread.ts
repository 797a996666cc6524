/**
 * One rollout thread: a vector environment and an engine. Runs for the life of the actor as one task of its pool.
 *
 * Always: weights change only between two steps, and every step carries the version it was taken with. An episode
 * keeps its memory across fragments and across weights: what older weights remembered is the stored state that a row
 * is trained from (Kapturowski et al. 2019, "Recurrent experience replay in distributed reinforcement learning").
 */
import { receiveMessageOnPort } from "node:worker_threads";
import type { Engine } from "../../core/engine/engine.js";
import { createEngine } from "../../core/engine/select.js";
import type { VectorEnvironment } from "../../core/env/environment.js";
import { SkeinError, toSkeinError } from "../../core/errors.js";
import { createModel } from "../../core/model/create.js";
import type { Model } from "../../core/model/model.js";
import { PolicyRunner } from "../../core/model/policy-runner.js";
import { deriveSeed, Random } from "../../core/random.js";
import type { RolloutColumns, RolloutRequest, WeightsSnapshot } from "../../core/types.js";
import { loadEnvironment } from "../../envs/index.js";
import { EpisodeBook, FragmentBuilder } from "./fragment.js";
import type { FragmentTimes, FromThread, ThreadStart, ToThread } from "./messages.js";

class RolloutThread {
  private readonly policy: PolicyRunner;
  private book = new EpisodeBook(0);
  private readonly seeds: Uint32Array;
  private random = new Random(0);
  private started = false;
  private version = -1;

  constructor(
    private readonly start: ThreadStart,
    private readonly environment: VectorEnvironment,
    private readonly engine: Engine,
    model: Model,
  ) {
    this.policy = new PolicyRunner(engine, model, environment);
    this.seeds = new Uint32Array(environment.count);
  }

  /** Loads them whatever their version: a learner that went back to a checkpoint gives versions out anew. */
  swap(weights: WeightsSnapshot): void {
    this.engine.load(weights);
    this.version = weights.version;
  }

  async collect(request: RolloutRequest): Promise<{ columns: RolloutColumns; times: FragmentTimes }> {
    if (!this.started) await this.begin(request);
    if (this.version < 0)
      throw new SkeinError("INTERNAL", "rollout thread: asked to collect before any weights came");
    const { environment, policy, random } = this;
    const steps = this.start.config.actors.fragmentSteps;
    const builder = new FragmentBuilder(environment, this.book, steps, this.seeds, policy.states);
    let inferenceMs = 0;
    let environmentMs = 0;
    let swaps = 0;
    for (let t = 0; t < steps; t++) {
      if (!request.exact && this.swapNewest()) swaps++;
      const before = performance.now();
      await policy.decide(random);
      builder.decide(policy.actions, policy.logprobs, this.version);
      const between = performance.now();
      await environment.step(policy.environmentActions);
      policy.forgetEnded();
      builder.outcome();
      inferenceMs += between - before;
      environmentMs += performance.now() - between;
    }
    const times = { inferenceSeconds: inferenceMs / 1000, environmentSeconds: environmentMs / 1000, swaps };
    return { columns: builder.finish(), times };
  }

  async close(): Promise<void> {
    this.engine.close();
    await this.environment.close?.();
  }

  /**
   * Seeds and trajectory numbers depend on the first fragment asked for, so a replaced actor repeats neither its
   * predecessor's episodes nor their numbers. A fragment begins at most one trajectory a step, the first one more.
   */
  private async begin(request: RolloutRequest): Promise<void> {
    const { config, seat } = this.start;
    const { environments, fragmentSteps } = config.actors;
    this.book = new EpisodeBook(environments, (request.sequence - 1) * environments * (fragmentSteps + 1));
    for (let i = 0; i < this.seeds.length; i++) {
      this.seeds[i] = deriveSeed(config.run.seed, "environment", seat, i, request.sequence);
    }
    this.random = new Random(deriveSeed(config.run.seed, "policy", seat, request.sequence));
    await this.environment.reset(this.seeds);
    this.started = true;
  }

  /** Takes what has arrived while the thread was busy; only the newest weights count. */
  private swapNewest(): boolean {
    let newest: WeightsSnapshot | null = null;
    for (;;) {
      const received = receiveMessageOnPort(this.start.port) as { message: ToThread } | undefined;
      if (received === undefined) break;
      // "stop" is only ever sent to an idle thread, "collect" only after the fragment before it.
      if (received.message.kind === "weights") newest = received.message.weights;
    }
    if (newest !== null) this.swap(newest);
    return newest !== null;
  }
}

async function createThread(start: ThreadStart): Promise<RolloutThread> {
  const { environment: choice, actors, model, engine: engineChoice } = start.config;
  const loaded = await loadEnvironment(choice, process.cwd());
  const { observationSpace, actionSpace } = loaded.spec;
  const network = createModel({ ...model, observationSpace, actionSpace });
  const { engine } = await createEngine(engineChoice, network);
  return new RolloutThread(start, loaded.vectorize(actors.environments), engine, network);
}

/** Piscina task: serves its port until told to stop. Failures are told over the port, with their code. */
export default async function serve(start: ThreadStart): Promise<void> {
  const { port } = start;
  const tell = (message: FromThread): void => port.postMessage(message);
  try {
    const thread = await createThread(start);
    tell({ kind: "ready", engine: start.config.engine });
    await new Promise<void>((resolve, reject) => {
      const handle = async (message: ToThread): Promise<void> => {
        switch (message.kind) {
          case "weights":
            thread.swap(message.weights);
            break;
          case "collect": {
            if (message.weights !== null) thread.swap(message.weights);
            const { columns, times } = await thread.collect(message.request);
            tell({ kind: "fragment", request: message.request, columns, times });
            break;
          }
          case "stop":
            await thread.close();
            resolve();
        }
      };
      port.on("message", (message: ToThread) => void handle(message).catch(reject));
    });
  } catch (error) {
    const { code, message } = toSkeinError(error);
    tell({ kind: "failed", code, message });
  } finally {
    port.close();
  }
}
