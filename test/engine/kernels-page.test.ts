import { expect, it } from "vitest";
import { TRACED_KERNELS } from "../../core/engine/onnx/trace.js";
import { kernelsPage } from "./kernels-page.js";

it("docs/kernels.md is what kernelsPage() writes; `npx vitest run test/engine/kernels -u` renews it", async () => {
  await expect(kernelsPage()).resolves.toMatchFileSnapshot("../../docs/kernels.md");
});

it("docs/kernels.md has one row for every kernel", async () => {
  const rows = (await kernelsPage()).matchAll(/^\| (\w+) +\| .*\|$/gm);
  const kernels = [...rows].map(([, kernel]) => kernel).filter((kernel) => kernel !== "Kernel");
  expect(kernels.sort()).toEqual(TRACED_KERNELS);
});
