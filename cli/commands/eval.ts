/** `skein eval`: plays episodes with a checkpoint's policy and reports their returns. */
import { createEngine } from "../../core/engine/select.js";
import { createModel } from "../../core/model/create.js";
import { PolicyRunner } from "../../core/policy/policy-runner.js";
import { deriveSeed, Random } from "../../core/random.js";
import { openCheckpoint, type CheckpointPolicy } from "./checkpoint-policy.js";
import type { CommandHost } from "./host.js";

export interface EvalOptions {
  readonly episodes: number;
  readonly sample: boolean;
  readonly seed: number;
  readonly json: boolean;
}

/** Instances stepped together; the first episode of each counts, so that short ones are not favoured. */
const MAX_INSTANCES = 100;

async function playFirstEpisodes(
  { environment, checkpoint, config, model }: CheckpointPolicy,
  count: number,
  seed: number,
  sample: boolean,
  signal: AbortSignal,
): Promise<number[]> {
  const network = createModel(model);
  const { engine } = await createEngine(config.engine, network);
  engine.load(checkpoint.weights);
  const vector = environment.vectorize(count);
  const policy = new PolicyRunner(engine, network, vector);
  const random = sample ? new Random(deriveSeed(seed, "eval policy")) : null;
  await vector.reset(Uint32Array.from({ length: count }, (_, i) => deriveSeed(seed, "eval", i)));
  const returns = new Array<number>(count).fill(0);
  const ended = new Uint8Array(count);
  let left = count;
  while (left > 0 && !signal.aborted) {
    await policy.decide(random);
    await vector.step(policy.environmentActions);
    policy.forgetEnded();
    for (let i = 0; i < count; i++) {
      if (ended[i] === 1) continue;
      returns[i]! += vector.rewards[i]!;
      if (vector.terminated[i] === 1 || vector.truncated[i] === 1) {
        ended[i] = 1;
        left--;
      }
    }
  }
  await vector.close?.();
  engine.close();
  return returns.filter((_, i) => ended[i] === 1);
}

export async function evaluate(host: CommandHost, path: string, options: EvalOptions): Promise<number> {
  const policy = await openCheckpoint(path);
  const returns: number[] = [];
  for (let round = 0; returns.length < options.episodes && !host.signal.aborted; round++) {
    const count = Math.min(MAX_INSTANCES, options.episodes - returns.length);
    const seed = deriveSeed(options.seed, "round", round);
    returns.push(...(await playFirstEpisodes(policy, count, seed, options.sample, host.signal)));
    if (!options.json && options.episodes > MAX_INSTANCES)
      process.stderr.write(`${returns.length}/${options.episodes} episodes\n`);
  }
  const mean = returns.reduce((a, b) => a + b, 0) / returns.length;
  const variance = returns.reduce((sum, r) => sum + (r - mean) ** 2, 0) / Math.max(1, returns.length - 1);
  const report = {
    checkpoint: policy.path,
    environment: policy.environment.spec.id,
    policyVersion: policy.checkpoint.state.policyVersion,
    actions: options.sample ? "sampled" : "greedy",
    episodes: returns.length,
    meanReturn: mean,
    stdReturn: Math.sqrt(variance),
    minReturn: Math.min(...returns),
    maxReturn: Math.max(...returns),
  };
  process.stdout.write(
    options.json
      ? `${JSON.stringify(report)}\n`
      : `${report.environment}, version ${report.policyVersion}, ${report.actions}: mean return ${mean.toFixed(2)} ± ` +
          `${report.stdReturn.toFixed(2)} (min ${report.minReturn.toFixed(2)}, max ${report.maxReturn.toFixed(2)}) over ${report.episodes} episodes\n`,
  );
  return host.signalExitCode();
}
