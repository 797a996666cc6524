/** A case for each way in which a kernel of the tracing backend may be called. */
import type { KernelCase } from "./case.js";
import { binary, unary } from "./elementwise.js";
import { indexing } from "./indexing.js";
import { matrices } from "./matrices.js";
import { reductions } from "./reductions.js";
import { shapes } from "./shapes.js";

export const KERNEL_CASES: readonly KernelCase[] = [
  ...unary,
  ...binary,
  ...reductions,
  ...matrices,
  ...shapes,
  ...indexing,
];
