/** A network playing all instances of a vector environment: what it sees, may do and remembers, one step at a time. */
import type { Engine } from "../engine/engine.js";
import type { ActionArray, VectorEnvironment } from "../env/environment.js";
import type { Random } from "../random.js";
import type { Model } from "../model/model.js";
import { createPolicySampler, type PolicySampler } from "./policy-sampler.js";

/**
 * For each step: `decide` or `decideEach`, then `environment.step(environmentActions)`, then `forgetEnded`. Memory stays through a change of the
 * engine's weights.
 */
export class PolicyRunner {
  /** [count·S] memory of each instance before its next decision; zeros where an episode begins. Changed in place. */
  readonly states: Float32Array;
  private readonly sampler: PolicySampler;
  /** S */
  readonly stateWidth: number;

  /** `model` is the one that `engine` runs. */
  constructor(
    private readonly engine: Engine,
    { spec, stateWidth }: Model,
    private readonly environment: VectorEnvironment,
  ) {
    this.stateWidth = stateWidth;
    this.states = new Float32Array(environment.count * stateWidth);
    this.sampler = createPolicySampler(spec.actionSpace, environment.count, spec.distribution);
  }

  /** [count·A] of the last decision, as the environment takes them */
  get environmentActions(): ActionArray {
    return this.sampler.environmentActions;
  }

  /** [count·A] of the last decision, as they are recorded */
  get actions(): ActionArray {
    return this.sampler.actions;
  }

  /** [count] of the last sampled decision, nats */
  get logprobs(): Float32Array {
    return this.sampler.logprobs;
  }

  /** One action for what each instance shows now: drawn with `random`, or the most probable one where it is null. */
  async decide(random: Random | null): Promise<void> {
    const policy = await this.forward();
    if (random === null) this.sampler.greedy(policy);
    else this.sampler.sample(policy, random);
  }

  /**
   * The same, each instance drawing with its own of `randoms` [count], so that none has a part in another's actions.
   * Those with null get no new action.
   */
  async decideEach(randoms: readonly (Random | null)[]): Promise<void> {
    const policy = await this.forward();
    randoms.forEach((random, i) => {
      if (random !== null) this.sampler.sampleInstance(policy, i, random);
    });
  }

  /** After the environment stepped: an instance whose episode ended begins the next one without memory. */
  forgetEnded(): void {
    const { environment, stateWidth } = this;
    if (stateWidth === 0) return;
    for (let i = 0; i < environment.count; i++) {
      if (environment.terminated[i] === 1 || environment.truncated[i] === 1) this.forget(i);
    }
  }

  /** Instance i begins an episode. */
  forget(i: number): void {
    this.states.fill(0, i * this.stateWidth, (i + 1) * this.stateWidth);
  }

  /** [S] what instance i remembers before its next decision; a copy. */
  memoryOf(i: number): Float32Array {
    return this.states.slice(i * this.stateWidth, (i + 1) * this.stateWidth);
  }

  /** Instance i remembers `memory` [S] and nothing else. */
  recall(i: number, memory: Float32Array): void {
    this.states.set(memory, i * this.stateWidth);
  }

  /** The policy column [count·P] for what each instance shows now; advances the memory. */
  private async forward(): Promise<Float32Array> {
    const { environment, engine, states } = this;
    const { count: steps, observations, actionMasks } = environment;
    const inputs = { steps, observations, actions: null, actionMasks };
    if (this.stateWidth === 0) return (await engine.forward(inputs, ["policy"])).policy;
    const { policy, state } = await engine.forward({ ...inputs, states }, ["policy", "state"]);
    states.set(state);
    return policy;
  }
}
