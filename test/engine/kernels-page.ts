/** docs/kernels.md, written from what the kernels' cases make of them. */
import { elementwise } from "../../core/engine/onnx/kernels/elementwise.js";
import { indexing } from "../../core/engine/onnx/kernels/indexing.js";
import { matrix } from "../../core/engine/onnx/kernels/matrix.js";
import { reductions } from "../../core/engine/onnx/kernels/reduction.js";
import { shapes } from "../../core/engine/onnx/kernels/shape.js";
import { markdownTable } from "../../core/markdown.js";
import { KERNEL_CASES } from "./kernel-cases/index.js";
import { runPlain, traced } from "./onnx-run.js";

const FILES = [
  ["elementwise.ts", "Number by number, with broadcasting", elementwise],
  ["reduction.ts", "Along axes", reductions],
  ["matrix.ts", "Matrix products", matrix],
  ["shape.ts", "Moving numbers, making constants", shapes],
  ["indexing.ts", "Picking and adding by index", indexing],
] as const;

/** ONNX operations by kernel: those of its cases that call no other kernel, else what others do not account for. */
async function operations(): Promise<ReadonlyMap<string, ReadonlySet<string>>> {
  const found = new Map<string, Set<string>>();
  const made: { readonly kernels: readonly string[]; readonly operations: readonly string[] }[] = [];
  for (const { compute, inputs } of KERNEL_CASES) {
    const kernels = [...new Set((await runPlain(compute, inputs)).kernels)];
    made.push({ kernels, operations: traced(compute, inputs).graph.nodes.map(({ op }) => op) });
  }
  made.sort((a, b) => a.kernels.length - b.kernels.length);
  for (const { kernels, operations } of made) {
    const unknown = kernels.filter((kernel) => !found.has(kernel));
    if (kernels.length > 1 && unknown.length !== 1) continue;
    const others = new Set(
      kernels.length === 1 ? [] : kernels.flatMap((kernel) => [...(found.get(kernel) ?? [])]),
    );
    const kernel = unknown[0] ?? kernels[0]!;
    found.set(kernel, new Set([...(found.get(kernel) ?? []), ...operations.filter((op) => !others.has(op))]));
  }
  return found;
}

const list = (names: Iterable<string>): string => [...names].sort().join(", ");

/** The whole page, Markdown. */
export async function kernelsPage(): Promise<string> {
  const found = await operations();
  return [
    "# Kernels",
    "",
    "<!-- Written from test/engine/kernel-cases by test/engine/kernels-page.ts; renew it with `npx vitest run test/engine/kernels -u`. -->",
    "",
    "The TensorFlow.js kernels that the compiled engine can trace ([engine.md](engine.md)), and the ONNX operations that",
    "they become in the tests. Where there is none, the kernel only renames a value, or its result is a constant.",
    "",
    ...FILES.flatMap(([file, title, kernels]) => [
      `## ${title}`,
      "",
      `\`core/engine/onnx/kernels/${file}\``,
      "",
      ...markdownTable([
        ["Kernel", "ONNX operations"],
        ...Object.keys(kernels)
          .sort()
          .map((kernel) => [kernel, list(found.get(kernel) ?? [])]),
      ]),
      "",
    ]),
  ]
    .join("\n")
    .trimEnd()
    .concat("\n");
}
