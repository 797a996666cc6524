/**
 * The diagonal Gaussian N(mean, diag(σ²)) over A action dimensions, σ = exp(logStd). Each function reads `count` = A
 * elements from an offset of arrays that may hold many steps (logStds shared by all steps: offset 0 every time),
 * allocates nothing and draws nothing: randomness comes in as standard normal numbers.
 */
import { expectSpan } from "./arrays.js";
import type { FloatArray } from "./arrays.js";

const HALF_LOG_2PI = 0.5 * Math.log(2 * Math.PI);

/**
 * log N(a; mean, σ) = −Σ_d [½((a_d − mean_d)/σ_d)² + log σ_d + ½·log 2π], nats.
 * Pass the action as it is stored (float32), so that actor and learner speak of the same number.
 */
export function gaussianLogprob(
  means: FloatArray,
  meanOffset: number,
  logStds: FloatArray,
  logStdOffset: number,
  actions: FloatArray,
  actionOffset: number,
  count: number,
): number {
  expectSpan("gaussianLogprob", "means", means.length, meanOffset, count);
  expectSpan("gaussianLogprob", "logStds", logStds.length, logStdOffset, count);
  expectSpan("gaussianLogprob", "actions", actions.length, actionOffset, count);
  let logprob = -count * HALF_LOG_2PI;
  for (let d = 0; d < count; d++) {
    const logStd = logStds[logStdOffset + d]!;
    const z = (actions[actionOffset + d]! - means[meanOffset + d]!) * Math.exp(-logStd);
    logprob -= 0.5 * z * z + logStd;
  }
  return logprob;
}

/**
 * a_d = mean_d + σ_d·z_d for standard normal z, written to `count` elements of `out` from `outOffset`; `out` may be
 * `normals`.
 */
export function sampleGaussian(
  means: FloatArray,
  meanOffset: number,
  logStds: FloatArray,
  logStdOffset: number,
  normals: FloatArray,
  normalOffset: number,
  count: number,
  out: FloatArray,
  outOffset: number,
): void {
  expectSpan("sampleGaussian", "means", means.length, meanOffset, count);
  expectSpan("sampleGaussian", "logStds", logStds.length, logStdOffset, count);
  expectSpan("sampleGaussian", "normals", normals.length, normalOffset, count);
  expectSpan("sampleGaussian", "out", out.length, outOffset, count);
  for (let d = 0; d < count; d++) {
    out[outOffset + d] =
      means[meanOffset + d]! + Math.exp(logStds[logStdOffset + d]!) * normals[normalOffset + d]!;
  }
}
