/** `skein export`: a checkpoint's weights without the training state, in a format that other languages read. */
import { rename, writeFile } from "node:fs/promises";
import { encodeSafetensors } from "../../core/weights/safetensors.js";
import { openCheckpoint } from "./checkpoint-policy.js";
import type { CommandHost } from "./host.js";

/** JSON has no infinity: unbounded spaces are written as "Infinity" and "-Infinity". */
function spellInfinity(_key: string, value: unknown): unknown {
  return value === Number.POSITIVE_INFINITY || value === Number.NEGATIVE_INFINITY ? String(value) : value;
}

export async function exportWeights(
  _host: CommandHost,
  path: string,
  options: { readonly out: string },
): Promise<number> {
  const { checkpoint, environment, model, path: file } = await openCheckpoint(path);
  const description = {
    environment: environment.spec.id,
    policyVersion: checkpoint.state.policyVersion,
    model,
    layout: "y = tanh(x · weight + bias) a layer, no tanh after the last; weight [inputs, outputs]",
  };
  const bytes = encodeSafetensors(checkpoint.weights.tensors, {
    format: "skein-policy-1",
    description: JSON.stringify(description, spellInfinity),
  });
  await writeFile(`${options.out}.partial`, bytes);
  await rename(`${options.out}.partial`, options.out);
  process.stdout.write(
    `${options.out}: ${checkpoint.weights.tensors.length} tensors, ${bytes.byteLength} bytes, from ${file}\n`,
  );
  return 0;
}
