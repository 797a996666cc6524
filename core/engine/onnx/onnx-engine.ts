/**
 * Engine on ONNX Runtime: the model is traced and compiled once for each shape of input, then run without a call of
 * JavaScript in between.
 *
 * Always: weights and moments are arrays here that the runtime reads in place; an update writes a second set, which
 * takes the place of the first only where the gradient was finite. Batches are padded with zero steps up to a size of
 * few, so that few shapes are compiled; padding has cotangent zero.
 */
import type { InferenceSession } from "onnxruntime-common";
import { expectLength, SkeinError } from "../../errors.js";
import type { Model, OutputColumn } from "../../model/model.js";
import type { WeightsSnapshot } from "../../types.js";
import type {
  Columns,
  Cotangents,
  Engine,
  EngineInputs,
  LiveColumn,
  OptimizerState,
  OptimizerStep,
  UpdateStats,
} from "../engine.js";
import { FlatParameters } from "../flat-parameters.js";
import { paddedSize } from "../padded-size.js";
import type { Graph, Value } from "./graph.js";
import {
  cotangentInput,
  forwardProgram,
  parameterInput,
  STEP_SCALARS,
  updateProgram,
  type InputShapes,
  type StepScalar,
} from "./program.js";
import { bind, type Bound, type Runtime } from "./runtime.js";
import { ProgramCache } from "./program-cache.js";

type Feeds = Record<string, Bound["tensor"]>;

/** Steps × parameters below which one thread is faster than several (docs/engine.md). */
const SMALL_WORK = 1_000_000;

const NO_STEP = { learningRate: 0, maxGradNorm: Infinity, epsilon: 1, beta1: 0, beta2: 0 };

/** Arrays that the inputs of a batch are copied into. */
interface BoundInputs {
  readonly feeds: Feeds;
  fill(inputs: EngineInputs): void;
}

interface Forward {
  readonly session: InferenceSession;
  readonly inputs: BoundInputs;
  /** Everything the session reads, with the weights of a generation. */
  readonly feeds: (generation: Generation) => Feeds;
  readonly outputs: Feeds;
  readonly columns: Readonly<Record<string, Bound>>;
}

interface Update {
  readonly first: InferenceSession;
  readonly second: InferenceSession;
  readonly inputs: BoundInputs;
  readonly firstFeeds: (generation: Generation) => Feeds;
  readonly secondFeeds: (generation: Generation) => Feeds;
  readonly firstOutputs: Feeds;
  readonly live: Readonly<Record<string, Bound>>;
  readonly cotangents: Readonly<Partial<Record<LiveColumn, Bound>>>;
  /** Names of the graph's outputs. */
  readonly outputs: Readonly<Record<"weights" | "m" | "v" | "gradNorm", string>>;
  readonly gradNorm: Bound;
}

/** Weights and moments, with views of each parameter. */
class Generation {
  readonly weights: Bound;
  readonly m: Bound;
  readonly v: Bound;
  readonly parameters: Feeds;

  constructor(runtime: Runtime, { size, slices }: FlatParameters) {
    this.weights = runtime.float32([size]);
    this.m = runtime.float32([size]);
    this.v = runtime.float32([size]);
    this.parameters = Object.fromEntries(
      slices.map(({ shape, at, size: length }, k) => [
        parameterInput(k),
        runtime.float32(shape, this.weights.data.subarray(at, at + length)).tensor,
      ]),
    );
  }
}

export class OnnxEngine implements Engine {
  private readonly layout: FlatParameters;
  private current: Generation;
  private spare: Generation;
  private steps = 0;
  private readonly scalars: Readonly<Record<StepScalar, Bound>>;
  private readonly forwards: ProgramCache<Forward>;
  private readonly updates: ProgramCache<Update>;

  constructor(
    readonly id: string,
    private readonly model: Model,
    private readonly runtime: Runtime,
  ) {
    this.layout = new FlatParameters(model.parameters);
    this.current = new Generation(runtime, this.layout);
    this.spare = new Generation(runtime, this.layout);
    this.scalars = Object.fromEntries(STEP_SCALARS.map((name) => [name, runtime.float32([])])) as Record<
      StepScalar,
      Bound
    >;
    this.forwards = new ProgramCache(({ session }) => session.release());
    this.updates = new ProgramCache(async ({ first, second }) => {
      await first.release();
      await second.release();
    });
  }

  async forward<K extends OutputColumn>(
    inputs: EngineInputs,
    want: readonly K[],
  ): Promise<Record<K, Float32Array>> {
    const shapes = shapesOf(this.model, inputs);
    const program = await this.forwards.get(keyOf(shapes, want), () => this.compileForward(shapes, want));
    program.inputs.fill(inputs);
    await program.session.run(program.feeds(this.current), program.outputs);
    const result = want.map((column) => {
      const { data } = program.columns[column]!;
      return [column, data.slice(0, (data.length * inputs.steps) / shapes.steps)] as const;
    });
    return Object.fromEntries(result) as Record<K, Float32Array>;
  }

  async update(
    inputs: EngineInputs,
    want: readonly LiveColumn[],
    cotangents: (live: Columns<LiveColumn>) => Cotangents,
    step: OptimizerStep,
  ): Promise<UpdateStats> {
    const norm = await this.step(inputs, want, cotangents, step);
    const applied = Number.isFinite(norm);
    if (applied) {
      [this.current, this.spare] = [this.spare, this.current];
      this.steps++;
    }
    return { gradNorm: norm, applied };
  }

  /** With β1 = 0 the first moment of a step is the gradient; the step is left in the spare generation, and so not taken. */
  async gradient(
    inputs: EngineInputs,
    want: readonly LiveColumn[],
    cotangents: (live: Columns<LiveColumn>) => Cotangents,
  ): Promise<Float32Array> {
    await this.step(inputs, want, cotangents, NO_STEP);
    return this.spare.m.data.slice();
  }

  weights(version: number): WeightsSnapshot {
    return { version, tensors: this.layout.tensors(this.current.weights.data) };
  }

  load(weights: WeightsSnapshot): void {
    this.layout.fill(this.current.weights.data, weights.tensors, `weights of version ${weights.version}`);
  }

  optimizerState(): OptimizerState {
    return this.layout.optimizerState(this.steps, this.current.m.data, this.current.v.data);
  }

  loadOptimizerState(state: OptimizerState): void {
    this.layout.fillMoments(this.current.m.data, this.current.v.data, state);
    this.steps = state.steps;
  }

  close(): void {
    this.forwards.clear();
    this.updates.clear();
  }

  /** One optimiser step from the current generation into the spare one. Returns the gradient's norm before clipping. */
  private async step(
    inputs: EngineInputs,
    want: readonly LiveColumn[],
    cotangents: (live: Columns<LiveColumn>) => Cotangents,
    step: OptimizerStep,
  ): Promise<number> {
    const shapes = shapesOf(this.model, inputs);
    const program = await this.updates.get(keyOf(shapes, want), () => this.compileUpdate(shapes, want));
    const { live, outputs, gradNorm } = program;
    const { current, spare } = this;
    program.inputs.fill(inputs);
    await program.first.run(program.firstFeeds(current), program.firstOutputs);
    const given = cotangents(
      Object.fromEntries(
        want.map((column) => {
          const { data } = live[column]!;
          return [column, data.subarray(0, (data.length * inputs.steps) / shapes.steps)];
        }),
      ),
    );
    for (const column of want) {
      const { data } = program.cotangents[column]!;
      fillCotangent(data, given[column], (data.length * inputs.steps) / shapes.steps, column);
    }
    this.setScalars(step);
    await program.second.run(program.secondFeeds(current), {
      [outputs.weights]: spare.weights.tensor,
      [outputs.m]: spare.m.tensor,
      [outputs.v]: spare.v.tensor,
      [outputs.gradNorm]: gradNorm.tensor,
    });
    return gradNorm.data[0]!;
  }

  private async compileForward(shapes: InputShapes, want: readonly OutputColumn[]): Promise<Forward> {
    const { graph, columns } = forwardProgram(this.model, shapes, want);
    const session = await this.compile(graph, `forward ${want.join(" ")}`, shapes);
    const inputs = this.bindInputs(shapes, [session]);
    const made = bind(this.runtime, graph.outputs);
    return {
      session,
      inputs,
      feeds: feedsOf(session, inputs.feeds),
      outputs: tensorsOf(Object.fromEntries(made)),
      columns: Object.fromEntries(want.map((column) => [column, made.get(columns[column]!.name) as Bound])),
    };
  }

  private async compileUpdate(shapes: InputShapes, want: readonly LiveColumn[]): Promise<Update> {
    const { runtime } = this;
    const program = updateProgram(this.model, shapes, want);
    const { outputs } = program;
    const first = await this.compile(program.first, "update, first part", shapes);
    const second = await this.compile(program.second, "update, second part", shapes);
    const made = bind(runtime, program.first.outputs);
    const at = (value: Value): Bound => made.get(value.name) as Bound;
    const inputs = this.bindInputs(shapes, [first, second]);
    const live = Object.fromEntries(want.map((column) => [column, at(program.live[column]!)]));
    const cotangents = Object.fromEntries(
      want.map((column) => [column, runtime.float32([...live[column]!.tensor.dims])]),
    );
    return {
      first,
      second,
      inputs,
      firstFeeds: feedsOf(first, inputs.feeds),
      secondFeeds: feedsOf(second, {
        ...inputs.feeds,
        ...Object.fromEntries(program.carried.map((value) => [value.name, at(value).tensor])),
        ...Object.fromEntries(want.map((column) => [cotangentInput(column), cotangents[column]!.tensor])),
        ...tensorsOf(this.scalars),
      }),
      firstOutputs: tensorsOf(Object.fromEntries(made)),
      live,
      cotangents,
      outputs: {
        weights: outputs.weights.name,
        m: outputs.m.name,
        v: outputs.v.name,
        gradNorm: outputs.gradNorm.name,
      },
      gradNorm: runtime.float32([]),
    };
  }

  /** With one thread where waking another would cost more than the work saved. */
  private compile(graph: Graph, what: string, { steps }: InputShapes): Promise<InferenceSession> {
    const small = steps * this.layout.size < SMALL_WORK;
    return this.runtime.compile(graph, `${what} [${steps}]`, small ? 1 : undefined);
  }

  private bindInputs(shapes: InputShapes, sessions: readonly InferenceSession[]): BoundInputs {
    const { steps, sequenceLength, observationWidth, actions, postDecision, masked, stateful } = shapes;
    const { runtime, model } = this;
    const places = {
      observations: runtime.float32([steps, observationWidth]),
      ...(actions === null
        ? {}
        : {
            actions:
              actions.dtype === "float32"
                ? runtime.float32([steps, actions.width])
                : runtime.int32([steps, actions.width]),
          }),
      ...(postDecision ? { postObservations: runtime.float32([steps, observationWidth]) } : {}),
      ...(masked ? { actionMasks: runtime.float32([steps, model.policyWidth]) } : {}),
      ...(stateful ? { states: runtime.float32([steps / sequenceLength, model.stateWidth]) } : {}),
    };
    const read = Object.entries(places).filter(([name]) =>
      sessions.some(({ inputNames }) => inputNames.includes(name)),
    );
    return {
      feeds: Object.fromEntries(read.map(([name, { tensor }]) => [name, tensor])),
      fill: (inputs) => {
        for (const [name, { data }] of read) {
          const given = inputs[name as keyof typeof places];
          if (given === undefined || given === null) continue;
          data.set(given);
          // Masks of padding allow everything; everything else of it is zero.
          data.fill(name === "actionMasks" ? 1 : 0, given.length);
        }
      },
    };
  }

  private setScalars({ learningRate, maxGradNorm, epsilon, beta1, beta2 }: OptimizerStep): void {
    const t = this.steps + 1;
    const values: Record<StepScalar, number> = {
      maxGradNorm,
      beta1,
      oneMinusBeta1: 1 - beta1,
      beta2,
      oneMinusBeta2: 1 - beta2,
      stepSize: learningRate / (1 - beta1 ** t),
      rootCorrection: 1 / Math.sqrt(1 - beta2 ** t),
      epsilon,
    };
    for (const name of STEP_SCALARS) this.scalars[name].data[0] = values[name];
  }
}

function tensorsOf(bound: Readonly<Record<string, Bound | Bound<Int32Array>>>): Feeds {
  return Object.fromEntries(Object.entries(bound).map(([name, { tensor }]) => [name, tensor]));
}

/** What a session reads of `feeds` and a generation, put together once for each generation. */
function feedsOf({ inputNames }: InferenceSession, feeds: Feeds): (generation: Generation) => Feeds {
  const known = new WeakMap<Generation, Feeds>();
  return (generation) => {
    let all = known.get(generation);
    if (all === undefined) {
      const { weights, m, v, parameters } = generation;
      const offered: Feeds = { ...feeds, ...parameters, weights: weights.tensor, m: m.tensor, v: v.tensor };
      all = Object.fromEntries(inputNames.map((name) => [name, offered[name]!]));
      known.set(generation, all);
    }
    return all;
  };
}

function fillCotangent(
  place: Float32Array,
  given: Float64Array | undefined,
  length: number,
  column: string,
): void {
  if (given === undefined) {
    place.fill(0);
    return;
  }
  expectLength("update", `cotangents of ${column}`, length, given.length);
  place.set(given);
  place.fill(0, length);
}

function keyOf(shapes: InputShapes, want: readonly string[]): string {
  const { steps, sequenceLength, observationWidth, actions, postDecision, masked, stateful } = shapes;
  const flags = `${postDecision ? "p" : ""}${masked ? "m" : ""}${stateful ? "s" : ""}`;
  const given = `${actions?.width ?? 0}${actions?.dtype ?? ""}${flags}`;
  return `${steps}/${sequenceLength}×${observationWidth} ${given} ${want.join()}`;
}

function shapesOf(model: Model, inputs: EngineInputs): InputShapes {
  const { steps, sequenceLength = 1, observations, postObservations, actions, actionMasks, states } = inputs;
  if (steps < 1 || steps % sequenceLength !== 0)
    throw new SkeinError(
      "SHAPE",
      `engine: expected whole sequences of ${sequenceLength} steps, got ${steps} steps`,
    );
  return {
    steps: paddedSize(steps / sequenceLength) * sequenceLength,
    sequenceLength,
    observationWidth: observations.length / steps,
    actions:
      actions === null
        ? null
        : { width: actions.length / steps, dtype: actions instanceof Int32Array ? "int32" : "float32" },
    postDecision: postObservations !== undefined && postObservations !== null,
    masked: actionMasks !== undefined && actionMasks !== null,
    stateful: model.stateWidth > 0 && states !== undefined && states !== null,
  };
}
