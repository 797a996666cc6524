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
import { SkeinError } from "../../core/errors.js";
import { createModel } from "../../core/model/create.js";
import type { Model } from "../../core/model/model.js";
import { PolicyRunner } from "../../core/policy/policy-runner.js";
import { deriveSeed, Random } from "../../core/random.js";
import { serve, type Work } from "../../core/threads/serve.js";
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
  private offered: WeightsSnapshot | null = null;

  constructor(
    private readonly start: ThreadStart,
    private readonly environment: VectorEnvironment,
    private readonly engine: Engine,
    model: Model,
  ) {
    this.policy = new PolicyRunner(engine, model, environment);
    this.seeds = new Uint32Array(environment.count);
  }

  swap(weights: WeightsSnapshot): void {
    this.engine.load(weights);
    this.version = weights.version;
  }

  async collect(request: RolloutRequest): Promise<{ columns: RolloutColumns; times: FragmentTimes }> {
    if (!this.started) await this.begin(request);
    const { environment, policy, random } = this;
    const steps = this.start.config.actors.fragmentSteps;
    const builder = new FragmentBuilder(environment, this.book, steps, this.seeds, policy.states);
    let inferenceMs = 0;
    let environmentMs = 0;
    let swaps = 0;
    for (let t = 0; t < steps; t++) {
      if (!request.exact && this.swapNewest()) swaps++;
      if (this.version < 0)
        throw new SkeinError("INTERNAL", "rollout thread: asked to collect before any weights came");
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
  private async begin({ group, seed }: RolloutRequest): Promise<void> {
    const { environments, fragmentSteps } = this.start.config.actors;
    this.book = new EpisodeBook(environments, (group - 1) * environments * (fragmentSteps + 1));
    for (let i = 0; i < this.seeds.length; i++) this.seeds[i] = deriveSeed(seed, "environment", i);
    this.random = new Random(deriveSeed(seed, "policy"));
    await this.environment.reset(this.seeds);
    this.started = true;
  }

  /** Newer weights: swapped in before the next step that may take them. */
  offer(weights: WeightsSnapshot): void {
    this.offered = weights;
  }

  /** Takes what has arrived while the thread was busy; only the newest weights count. */
  private swapNewest(): boolean {
    for (;;) {
      const received = receiveMessageOnPort(this.start.port) as { message: ToThread } | undefined;
      if (received === undefined) break;
      // "stop" is only ever sent to an idle thread, "collect" only after the fragment before it.
      if (received.message.kind === "weights") this.offer(received.message.weights);
    }
    const { offered } = this;
    if (offered === null) return false;
    this.offered = null;
    this.swap(offered);
    return true;
  }
}

async function createThread(start: ThreadStart): Promise<Work<ToThread, FromThread>> {
  const { environment: choice, actors, model, engine: engineChoice } = start.config;
  const loaded = await loadEnvironment(choice, process.cwd());
  const { observationSpace, actionSpace } = loaded.spec;
  const network = createModel({ ...model, observationSpace, actionSpace });
  const { engine, detail } = await createEngine(engineChoice, network, { threads: 1 });
  const thread = new RolloutThread(start, loaded.vectorize(actors.environments), engine, network);
  return {
    ready: { kind: "ready", engine: engine.id, detail },
    async handle(message) {
      if (message.kind === "weights") {
        thread.offer(message.weights);
        return null;
      }
      const { request, weights } = message;
      if (weights !== null) thread.swap(weights);
      return { kind: "fragment", request, ...(await thread.collect(request)) };
    },
    close: () => thread.close(),
  };
}

/** Piscina task: collects for the life of the actor. */
export default async function rolloutThread(start: ThreadStart): Promise<void> {
  await serve(start.port, () => createThread(start));
}
