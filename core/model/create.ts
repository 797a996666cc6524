/** From a network's description to the network. */
import { SkeinError } from "../errors.js";
import { mlp } from "./mlp.js";
import type { Model, ModelSpec } from "./model.js";

export function createModel(spec: ModelSpec): Model {
  switch (spec.kind) {
    case "mlp":
      return mlp(spec);
    default:
      throw new SkeinError("INTERNAL", `model ${spec.kind}: not built yet`);
  }
}
