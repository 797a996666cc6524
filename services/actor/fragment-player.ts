/**
 * Collects fragments: all instances together, episode after episode. An episode keeps its memory across fragments and
 * across weights: what older weights remembered is the stored state that a row is trained from (Kapturowski et al.
 * 2019, "Recurrent experience replay in distributed reinforcement learning").
 */
import type { VectorEnvironment } from "../../core/env/environment.js";
import type { PolicyRunner } from "../../core/policy/policy-runner.js";
import { deriveSeed, Random } from "../../core/random.js";
import type { RolloutRequest } from "../../core/types.js";
import { EpisodeBook, FragmentBuilder } from "./fragment.js";
import type { LiveWeights } from "./live-weights.js";
import type { Collected } from "./messages.js";

export class FragmentPlayer {
  private readonly seeds: Uint32Array;
  private book: EpisodeBook | null = null;
  private random = new Random(0);

  /** Fragments have `steps` T; `progress`[0] says how far one is. */
  constructor(
    private readonly environment: VectorEnvironment,
    private readonly policy: PolicyRunner,
    private readonly weights: LiveWeights,
    private readonly steps: number,
    private readonly progress: Uint32Array,
  ) {
    this.seeds = new Uint32Array(environment.count);
  }

  async collect(request: RolloutRequest): Promise<Collected> {
    const { environment, policy, weights, steps, seeds, progress } = this;
    this.book ??= await this.begin(request);
    const builder = new FragmentBuilder(environment, this.book, steps, seeds, policy.states);
    let inferenceMs = 0;
    let environmentMs = 0;
    for (let t = 0; t < steps; t++) {
      Atomics.store(progress, 0, t * environment.count);
      if (!request.exact) weights.swapNewest();
      const before = performance.now();
      await policy.decide(this.random);
      builder.decide(policy.actions, policy.logprobs, weights.version);
      const between = performance.now();
      await environment.step(policy.environmentActions);
      policy.forgetEnded();
      builder.outcome();
      inferenceMs += between - before;
      environmentMs += performance.now() - between;
    }
    const columns = builder.finish();
    return {
      request,
      columns,
      inferenceSeconds: inferenceMs / 1000,
      environmentSeconds: environmentMs / 1000,
    };
  }

  /**
   * Seeds and trajectory numbers depend on the first fragment asked for, so a replaced actor repeats neither its
   * predecessor's episodes nor their numbers. A fragment begins at most one trajectory a step, the first one more.
   */
  private async begin({ group, seed }: RolloutRequest): Promise<EpisodeBook> {
    const { environment, seeds, steps } = this;
    for (let i = 0; i < seeds.length; i++) seeds[i] = deriveSeed(seed, "environment", i);
    this.random = new Random(deriveSeed(seed, "policy"));
    await environment.reset(seeds);
    return new EpisodeBook(environment.count, (group - 1) * environment.count * (steps + 1));
  }
}
