/**
 * A user's single `Environment` as a `VectorEnvironment`. All instances of one `step` run at once: where they
 * return promises they are awaited together; where none does, `step` itself is synchronous. What they return is
 * checked before it goes anywhere. An instance that failed is usable again only from its next reset on.
 */
import { expectLength, messageOf, SkeinError } from "../errors.js";
import { Random } from "../random.js";
import type {
  Action,
  ActionArray,
  Environment,
  EnvironmentSpec,
  Observation,
  StepResult,
  VectorEnvironment,
} from "./environment.js";
import { createInstance } from "./create-instance.js";
import { forEachInstance, isPromise, type Awaitable } from "./instances.js";
import { namedNumbers, type NamedNumbers } from "./named-numbers.js";
import { packSnapshot, parseSnapshot } from "./snapshot.js";
import { choicesOf, widthOf, type Space } from "./spaces.js";
import {
  complainAboutAnchor,
  complainAboutResult,
  show,
  writeActionMask,
  writeNumbers,
  writeObservation,
} from "./step-result.js";

interface Instance {
  readonly environment: Environment;
  /** Draws the seed of every episode but the first. */
  random: Random;
  /** Seed of the running episode. */
  seed: number;
  /** Steps taken in the running episode. */
  elapsed: number;
  /** How the running episode came to be anything but what its seed gives; for messages. */
  detour: string;
}

class UserVectorEnvironment implements VectorEnvironment {
  readonly observations: Float32Array;
  readonly finalObservations: Float32Array;
  readonly rewards: Float64Array;
  readonly terminated: Uint8Array;
  readonly truncated: Uint8Array;
  readonly actionMasks: Uint8Array | null;
  readonly anchorKeys: string[] | null;
  readonly postDecisionObservations: Float32Array | null;
  readonly stepExtras: NamedNumbers;
  readonly counters: NamedNumbers;
  private readonly instances: readonly Instance[];
  private readonly observationWidth: number;
  private readonly actionWidth: number;
  private readonly choices: number;
  private readonly timeLimit: number;

  constructor(
    readonly spec: EnvironmentSpec,
    create: () => Environment,
    readonly count: number,
  ) {
    this.observationWidth = widthOf(spec.observationSpace);
    this.actionWidth = widthOf(spec.actionSpace);
    this.choices = choicesOf(spec.actionSpace);
    this.timeLimit = spec.maxEpisodeSteps ?? Number.POSITIVE_INFINITY;
    this.observations = new Float32Array(count * this.observationWidth);
    this.finalObservations = new Float32Array(count * this.observationWidth);
    this.rewards = new Float64Array(count);
    this.terminated = new Uint8Array(count);
    this.truncated = new Uint8Array(count);
    this.actionMasks = spec.actionMasks === true ? new Uint8Array(count * this.choices) : null;
    this.anchorKeys = spec.anchorKeys === true ? new Array<string>(count).fill("") : null;
    this.postDecisionObservations =
      spec.postDecisionStates === true ? new Float32Array(count * this.observationWidth) : null;
    this.stepExtras = namedNumbers(spec.stepExtras, count);
    this.counters = namedNumbers(spec.counters, count);
    this.instances = Array.from({ length: count }, (_, i) => ({
      environment: createInstance(spec, i, create),
      random: new Random(0),
      ...{ seed: 0, elapsed: 0, detour: "" },
    }));
  }

  reset(seeds: Uint32Array): Awaitable<void> {
    expectLength("reset", "seeds", this.count, seeds.length);
    return forEachInstance(this.count, (i) => this.resetInstance(i, seeds[i]!));
  }

  resetInstance(i: number, seed: number): Awaitable<void> {
    this.instances[i]!.random = new Random(seed);
    return this.begin(i, seed);
  }

  step(actions: ActionArray, active: Uint8Array | null = null): Awaitable<void> {
    expectLength("step", "actions", this.count * this.actionWidth, actions.length);
    return forEachInstance(this.count, (i) => {
      if (active !== null && active[i] !== 1) return;
      const instance = this.instances[i]!;
      const action = actionOf(this.spec.actionSpace, actions, i * this.actionWidth);
      instance.elapsed++;
      const step = (): Awaitable<void> =>
        this.call(
          i,
          "step()",
          () => instance.environment.step(action),
          (result) => this.accept(i, result, active === null),
        );
      const asked = this.askPostDecision(i, action);
      return isPromise(asked) ? asked.then(step) : step();
    });
  }

  snapshot(i: number): Awaitable<Uint8Array> {
    const { environment, random, elapsed, seed } = this.instances[i]!;
    this.expectSnapshots(i);
    const o = this.observationWidth;
    const observation = this.observations.slice(i * o, (i + 1) * o);
    const kept = { elapsed, seed, random: random.state(), observation };
    return this.call(
      i,
      "snapshot()",
      () => environment.snapshot?.(),
      (bytes: unknown) => {
        if (bytes instanceof Uint8Array) return packSnapshot({ ...kept, bytes });
        throw this.refusal(i, "snapshot()", `snapshot is ${show(bytes)}, expected a Uint8Array`);
      },
    );
  }

  restore(i: number, snapshot: Uint8Array, seed: number | null = null): Awaitable<void> {
    const instance = this.instances[i]!;
    this.expectSnapshots(i);
    const kept = parseSnapshot(this.spec.id, this.observationWidth, snapshot);
    instance.elapsed = kept.elapsed;
    instance.seed = kept.seed;
    instance.random = seed === null ? Random.fromState(kept.random) : new Random(seed);
    instance.detour =
      seed === null ? "" : ` and went on from its step ${kept.elapsed} with restore(…, { seed: ${seed} })`;
    this.terminated[i] = 0;
    this.truncated[i] = 0;
    this.observations.set(kept.observation, i * this.observationWidth);
    return this.call(
      i,
      "restore()",
      () => instance.environment.restore?.(kept.bytes, { seed }),
      () => this.ask(i),
    );
  }

  close(): Awaitable<void> {
    return forEachInstance(this.count, (i) => {
      const { environment } = this.instances[i]!;
      return this.call(
        i,
        "close()",
        () => environment.close?.(),
        () => undefined,
      );
    });
  }

  private begin(i: number, seed: number): Awaitable<void> {
    const instance = this.instances[i]!;
    instance.seed = seed;
    instance.elapsed = 0;
    instance.detour = "";
    return this.call(
      i,
      "reset()",
      () => instance.environment.reset({ seed }),
      (observation) => {
        this.write(i, "reset()", observation, this.observations);
        return this.ask(i);
      },
    );
  }

  /** Asks instance i for everything about the state it shows that is not in the observation. */
  private ask(i: number): Awaitable<void> {
    const asked = this.askMask(i);
    return isPromise(asked) ? asked.then(() => this.askAnchor(i)) : this.askAnchor(i);
  }

  private askAnchor(i: number): Awaitable<void> {
    const { anchorKeys } = this;
    if (anchorKeys === null) return;
    const { environment } = this.instances[i]!;
    return this.call(
      i,
      "anchorKey()",
      () => environment.anchorKey?.(),
      (key: unknown) => {
        const complaint = complainAboutAnchor(key);
        if (complaint !== null) throw this.refusal(i, "anchorKey()", complaint);
        anchorKeys[i] = key as string;
      },
    );
  }

  private askPostDecision(i: number, action: Action): Awaitable<void> {
    const { postDecisionObservations: out } = this;
    if (out === null) return;
    const { environment } = this.instances[i]!;
    return this.call(
      i,
      "postDecisionState()",
      () => environment.postDecisionState?.(action),
      (observation) => this.write(i, "postDecisionState()", observation, out),
    );
  }

  private askMask(i: number): Awaitable<void> {
    const { actionMasks } = this;
    if (actionMasks === null) return;
    const { environment } = this.instances[i]!;
    return this.call(
      i,
      "actionMask()",
      () => environment.actionMask?.(),
      (mask) => {
        const complaint = writeActionMask(this.spec.actionSpace, mask, actionMasks, i * this.choices);
        if (complaint !== null) throw this.refusal(i, "actionMask()", complaint);
      },
    );
  }

  /** Takes one step's result; the instance of an episode that ended begins its next one where `goesOn`. */
  private accept(i: number, result: StepResult, goesOn: boolean): Awaitable<void> {
    const refuse = (complaint: string | null): void => {
      if (complaint !== null) throw this.refusal(i, "step()", complaint);
    };
    refuse(complainAboutResult(result));
    const instance = this.instances[i]!;
    const truncated = !result.terminated && (result.truncated || instance.elapsed >= this.timeLimit);
    const ended = result.terminated || truncated;
    refuse(writeNumbers("extras", result.extras, this.stepExtras, i));
    if (ended) refuse(writeNumbers("counters", result.counters, this.counters, i));
    this.write(i, "step()", result.observation, ended ? this.finalObservations : this.observations);
    this.rewards[i] = result.reward;
    this.terminated[i] = result.terminated ? 1 : 0;
    this.truncated[i] = truncated ? 1 : 0;
    if (!ended) return this.ask(i);
    if (goesOn) return this.begin(i, instance.random.nextUint32());
  }

  private write(i: number, method: string, observation: Observation | undefined, out: Float32Array): void {
    const at = i * this.observationWidth;
    const complaint = writeObservation(this.spec.observationSpace, observation, out, at);
    if (complaint !== null) throw this.refusal(i, method, complaint);
  }

  /** Calls the user's code and hands on what it gives, at once or when it comes. */
  private call<T, R>(
    i: number,
    method: string,
    act: () => Awaitable<T>,
    next: (value: T) => Awaitable<R>,
  ): Awaitable<R> {
    let value: Awaitable<T>;
    try {
      value = act();
    } catch (error) {
      throw this.failure(i, method, error);
    }
    if (!isPromise(value)) return next(value);
    return value.then(next, (error: unknown) => {
      throw this.failure(i, method, error);
    });
  }

  private failure(i: number, method: string, cause: unknown): SkeinError {
    const text = `${this.where(i)}: ${method} threw "${messageOf(cause)}". ${this.replay(i)}`;
    return new SkeinError("ENVIRONMENT_FAILED", text, { cause });
  }

  private refusal(i: number, method: string, complaint: string): SkeinError {
    const text = `${this.where(i)}: ${method} returned a wrong value: ${complaint}. Correct ${method} or the environment's description. ${this.replay(i)}`;
    return new SkeinError("ENVIRONMENT_FAILED", text);
  }

  private where(i: number): string {
    return `environment "${this.spec.id}", instance ${i}, step ${this.instances[i]!.elapsed} of its episode`;
  }

  private replay(i: number): string {
    const { seed, detour } = this.instances[i]!;
    return `The episode began with reset({ seed: ${seed} })${detour}.`;
  }

  private expectSnapshots(i: number): void {
    if (this.spec.snapshots === true) return;
    const text = `${this.where(i)}: it offers no snapshots; say snapshots: true in its description and add snapshot() and restore()`;
    throw new SkeinError("ENVIRONMENT_FAILED", text);
  }
}

/** One instance's action as the user's environment takes it; a copy, so it may be kept. */
function actionOf(space: Space, actions: ActionArray, at: number): Action {
  return space.kind === "discrete" ? actions[at]! : Array.from(actions.subarray(at, at + widthOf(space)));
}

/** `count` instances of a user's environment, stepped together. */
export function vectorizeEnvironment(
  spec: EnvironmentSpec,
  create: () => Environment,
  count: number,
): VectorEnvironment {
  return new UserVectorEnvironment(spec, create, count);
}
