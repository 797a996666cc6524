/**
 * Base of the built-in vector environments: state as a struct of arrays, one random stream an instance, time
 * limit, same-step reset and snapshots in one place. A subclass only writes its physics, and keeps all that it remembers
 * of an episode in `state`.
 */
import { expectLength } from "../errors.js";
import { Random } from "../random.js";
import type { ActionArray, EnvironmentSpec, VectorEnvironment } from "./environment.js";
import { namedNumbers, type NamedNumbers } from "./named-numbers.js";
import { choicesOf, widthOf } from "./spaces.js";

/** Of a random stream. */
const STREAM_WORDS = 4;

export abstract class ArrayEnvironment implements VectorEnvironment {
  readonly observations: Float32Array;
  readonly finalObservations: Float32Array;
  readonly rewards: Float64Array;
  readonly terminated: Uint8Array;
  readonly truncated: Uint8Array;
  readonly actionMasks: Uint8Array | null;
  readonly anchorKeys = null;
  readonly postDecisionObservations: Float32Array | null;
  readonly stepExtras: NamedNumbers;
  readonly counters: NamedNumbers;
  /** state[k][i] is variable k of instance i. */
  readonly state: readonly Float64Array[];
  /** Steps taken in the running episode of each instance. */
  readonly elapsed: Uint32Array;
  protected readonly random: Random[] = [];
  private readonly observationWidth: number;
  private readonly choices: number;
  private readonly timeLimit: number;

  constructor(
    readonly spec: EnvironmentSpec,
    readonly count: number,
    stateWidth: number,
  ) {
    this.observationWidth = widthOf(spec.observationSpace);
    this.choices = choicesOf(spec.actionSpace);
    this.timeLimit = spec.maxEpisodeSteps ?? Number.POSITIVE_INFINITY;
    this.observations = new Float32Array(count * this.observationWidth);
    this.finalObservations = new Float32Array(count * this.observationWidth);
    this.rewards = new Float64Array(count);
    this.terminated = new Uint8Array(count);
    this.truncated = new Uint8Array(count);
    this.actionMasks = spec.actionMasks === true ? new Uint8Array(count * this.choices) : null;
    this.postDecisionObservations =
      spec.postDecisionStates === true ? new Float32Array(count * this.observationWidth) : null;
    this.stepExtras = namedNumbers(spec.stepExtras, count);
    this.counters = namedNumbers(spec.counters, count);
    this.state = Array.from({ length: stateWidth }, () => new Float64Array(count));
    this.elapsed = new Uint32Array(count);
    for (let i = 0; i < count; i++) this.random.push(new Random(0));
  }

  /** Draws the start state of instance i from `random`. */
  protected abstract begin(i: number, random: Random): void;
  /**
   * Advances instance i, without time limit or reset; writes `state`, `rewards[i]` and `terminated[i]`, and what the spec
   * says under `stepExtras` and `counters`: those at every step, for the time limit may end the episode.
   */
  abstract advance(i: number, actions: ActionArray): void;
  /** Writes the observation of instance i to `out` from `at` on. */
  abstract observe(i: number, out: Float32Array, at: number): void;
  /**
   * Writes which actions instance i may choose, 1 or 0 each, to `out` from `at` on; all, unless a subclass whose
   * spec says `actionMasks` knows better.
   */
  protected allow(i: number, out: Uint8Array, at: number): void {
    void i;
    out.fill(1, at, at + this.choices);
  }

  /**
   * Writes what instance i would observe after the deterministic part of its action, before `advance`, to `out` from `at`
   * on. For a subclass whose spec says `postDecisionStates`.
   */
  protected decide?(i: number, actions: ActionArray, out: Float32Array, at: number): void;

  reset(seeds: Uint32Array): void {
    for (let i = 0; i < this.count; i++) this.resetInstance(i, seeds[i] ?? 0);
  }

  resetInstance(i: number, seed: number): void {
    this.random[i] = new Random(seed);
    this.restart(i);
  }

  step(actions: ActionArray, active: Uint8Array | null = null): void {
    for (let i = 0; i < this.count; i++) {
      if (active !== null && active[i] !== 1) continue;
      if (this.postDecisionObservations !== null) {
        this.decide?.(i, actions, this.postDecisionObservations, i * this.observationWidth);
      }
      this.advance(i, actions);
      const elapsed = ++this.elapsed[i]!;
      const truncated = this.terminated[i] === 0 && elapsed >= this.timeLimit ? 1 : 0;
      this.truncated[i] = truncated;
      if (this.terminated[i] === 1 || truncated === 1) {
        this.observe(i, this.finalObservations, i * this.observationWidth);
        if (active === null) this.restart(i);
      } else {
        this.show(i);
      }
    }
  }

  /** float64: `state`, `elapsed`, the random stream. */
  snapshot(i: number): Uint8Array {
    const numbers = [...this.state.map((variable) => variable[i]!), this.elapsed[i]!];
    return new Uint8Array(Float64Array.of(...numbers, ...this.random[i]!.state()).buffer);
  }

  restore(i: number, snapshot: Uint8Array, seed: number | null = null): void {
    const width = this.state.length;
    const expected = Float64Array.BYTES_PER_ELEMENT * (width + 1 + STREAM_WORDS);
    expectLength("restore", "snapshot", expected, snapshot.byteLength);
    const numbers = new Float64Array(new Uint8Array(snapshot).buffer);
    this.state.forEach((variable, k) => (variable[i] = numbers[k]!));
    this.elapsed[i] = numbers[width]!;
    const [a, b, c, d] = numbers.subarray(width + 1);
    this.random[i] = seed === null ? Random.fromState([a!, b!, c!, d!]) : new Random(seed);
    this.terminated[i] = 0;
    this.truncated[i] = 0;
    this.show(i);
  }

  private restart(i: number): void {
    this.elapsed[i] = 0;
    this.begin(i, this.random[i]!);
    this.show(i);
  }

  private show(i: number): void {
    this.observe(i, this.observations, i * this.observationWidth);
    if (this.actionMasks !== null) this.allow(i, this.actionMasks, i * this.choices);
  }
}
