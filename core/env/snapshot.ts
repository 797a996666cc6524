/** What is kept of an instance of a user's environment beside the user's own bytes. */
import { SkeinError } from "../errors.js";
import type { RandomState } from "../random.js";

export interface KeptInstance {
  /** Steps taken in the episode. */
  readonly elapsed: number;
  /** Seed of the episode. */
  readonly seed: number;
  readonly random: RandomState;
  /** [O] what the instance shows */
  readonly observation: Float32Array;
  /** What the environment's own snapshot() gave. */
  readonly bytes: Uint8Array;
}

const WORD = 4;
/** uint32: elapsed, seed, the random stream. */
const HEAD = 6 * WORD;

/** Copied into one array of bytes. */
export function packSnapshot({ elapsed, seed, random, observation, bytes }: KeptInstance): Uint8Array {
  const at = HEAD + observation.byteLength;
  const packed = new Uint8Array(at + bytes.byteLength);
  new Uint32Array(packed.buffer, 0, HEAD / WORD).set([elapsed, seed, ...random]);
  new Float32Array(packed.buffer, HEAD, observation.length).set(observation);
  packed.set(bytes, at);
  return packed;
}

/** The parts of a snapshot of environment `id`, copied; its observations have `width` O. Throws SHAPE. */
export function parseSnapshot(id: string, width: number, snapshot: Uint8Array): KeptInstance {
  const { buffer, length } = new Uint8Array(snapshot);
  const at = HEAD + width * WORD;
  if (length < at) {
    throw new SkeinError(
      "SHAPE",
      `restore: expected a snapshot of environment "${id}", at least ${at} bytes, got ${length}`,
    );
  }
  const [elapsed, seed, a, b, c, d] = new Uint32Array(buffer, 0, HEAD / WORD);
  return {
    elapsed: elapsed!,
    seed: seed!,
    random: [a!, b!, c!, d!],
    observation: new Float32Array(buffer, HEAD, width),
    bytes: new Uint8Array(buffer, at),
  };
}
