/**
 * Convolution as one gather of patches and one matrix product, in operations every backend has both ways. Another
 * lowering would replace `convolve` alone.
 */
import * as tf from "@tensorflow/tfjs-core";
import { linear, withGradient } from "./ops.js";

/** Cells a side of an output: valid padding. */
export function outputCells(input: number, kernel: number, stride: number): number {
  return Math.floor((input - kernel) / stride) + 1;
}

type Side = readonly [height: number, width: number];

/** For each output cell and each tap of the kernel, the input cell under it: [H'·W'·k·k]. */
function cellsUnderTaps([height, width]: Side, kernel: number, stride: number): Int32Array {
  const [rows, columns] = [outputCells(height, kernel, stride), outputCells(width, kernel, stride)];
  const cells = new Int32Array(rows * columns * kernel * kernel);
  let at = 0;
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      for (let y = 0; y < kernel; y++) {
        for (let x = 0; x < kernel; x++) cells[at++] = (row * stride + y) * width + column * stride + x;
      }
    }
  }
  return cells;
}

/** The reverse: for each input cell and tap, the output cell that reads it so, or H'·W' for none: [H·W·k·k]. */
function cellsOverTaps([height, width]: Side, kernel: number, stride: number): Int32Array {
  const [rows, columns] = [outputCells(height, kernel, stride), outputCells(width, kernel, stride)];
  const under = cellsUnderTaps([height, width], kernel, stride);
  const taps = kernel * kernel;
  const cells = new Int32Array(height * width * taps).fill(rows * columns);
  for (let k = 0; k < under.length; k++) cells[under[k]! * taps + (k % taps)] = Math.floor(k / taps);
  return cells;
}

/** Cells [B, cells, C] → patches [B·n, taps·C] for n·taps cell numbers. */
function gatherPatches(image: tf.Tensor3D, cells: Int32Array, taps: number): tf.Tensor2D {
  const [, , channels] = image.shape;
  return tf.reshape(tf.gather(image, tf.tensor1d(cells, "int32"), 1), [-1, taps * channels]);
}

/** x [B, H, W, C], w [k, k, C, O], b [O] → rows [B·H'·W', O]. */
function convolve(
  x: tf.Tensor4D,
  w: tf.Tensor4D,
  b: tf.Tensor,
  stride: number,
  inputGradient: boolean,
): tf.Tensor2D {
  const [batch, height, width, channels] = x.shape;
  const [kernel, , , outputs] = w.shape;
  const side: Side = [height, width];
  const taps = kernel * kernel;
  const patches = (): tf.Tensor2D =>
    gatherPatches(
      tf.reshape(x, [batch, height * width, channels]),
      cellsUnderTaps(side, kernel, stride),
      taps,
    );
  const matrix = tf.reshape<tf.Rank.R2>(w, [taps * channels, outputs]);
  if (!inputGradient) return linear(patches(), matrix, b);

  return withGradient<tf.Tensor2D>(
    [x, matrix, b],
    () => {
      const unfolded = patches();
      return { value: tf.add(tf.matMul(unfolded, matrix), b), saved: [unfolded, matrix] };
    },
    (dy, saved) => {
      const [unfolded, weight] = saved as [tf.Tensor2D, tf.Tensor2D];
      // ∂x: patches of ∂y around every input cell; the zero cell at the end stands for "outside".
      const dCells = tf.pad(tf.reshape<tf.Rank.R3>(dy, [batch, -1, outputs]), [
        [0, 0],
        [0, 1],
        [0, 0],
      ]);
      const flipped = tf.reshape<tf.Rank.R2>(
        tf.transpose(tf.reshape(weight, [taps, channels, outputs]), [0, 2, 1]),
        [taps * outputs, channels],
      );
      const dInput = tf.matMul(gatherPatches(dCells, cellsOverTaps(side, kernel, stride), taps), flipped);
      return [
        tf.reshape(dInput, [batch, height, width, channels]),
        tf.matMul(tf.transpose(unfolded), dy),
        tf.sum(dy, 0),
      ];
    },
  );
}

/** [A·s, B·s, C] blocks of s × s cells become cells of s·s·C channels: [n, A·s, B·s, C] → [n, A, B, s·s·C]. */
function blocksToChannels(x: tf.Tensor4D, block: number): tf.Tensor4D {
  const [n, height, width, channels] = x.shape;
  const [rows, columns] = [height / block, width / block];
  const blocks = tf.reshape<tf.Rank.R4>(x, [n * rows, block, columns, block * channels]);
  return tf.reshape(tf.transpose(blocks, [0, 2, 1, 3]), [n, rows, columns, block * block * channels]);
}

/**
 * Convolution with valid padding: x [B, H, W, C], w [k, k, C, O], b [O] → [B·H'·W', O], a row for each cell, with
 * H' = ⌊(H − k)/stride⌋ + 1. Where the stride divides the kernel, blocks of stride × stride cells become channels
 * first: the same sums, with larger pieces to gather and none gathered in vain on the way back.
 * `inputGradient: false` where x is data, so that no gradient for it is computed.
 */
export function conv2d(
  x: tf.Tensor4D,
  w: tf.Tensor,
  b: tf.Tensor,
  { stride, inputGradient }: { readonly stride: number; readonly inputGradient: boolean },
): tf.Tensor2D {
  const [kernel, , channels, outputs] = w.shape as [number, number, number, number];
  if (stride === 1 || kernel % stride !== 0) {
    return convolve(x, w as tf.Tensor4D, b, stride, inputGradient);
  }
  const used = (cells: number): number => (outputCells(cells, kernel, stride) - 1) * stride + kernel;
  const [, height, width] = x.shape;
  const cropped =
    used(height) === height && used(width) === width
      ? x
      : tf.slice(x, [0, 0, 0, 0], [-1, used(height), used(width), -1]);
  const blockKernel = tf.reshape<tf.Rank.R4>(w, [1, kernel, kernel, channels * outputs]);
  const cells = kernel / stride;
  const weight = tf.reshape<tf.Rank.R4>(blocksToChannels(blockKernel, stride), [
    cells,
    cells,
    stride * stride * channels,
    outputs,
  ]);
  return convolve(blocksToChannels(cropped, stride), weight, b, 1, inputGradient);
}
