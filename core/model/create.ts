/** The network a spec names. */
import { cnn } from "./cnn.js";
import { gru } from "./gru.js";
import { mlp } from "./mlp.js";
import type { Model, ModelSpec } from "./model.js";
import { transformer } from "./transformer.js";

/** Throws ENVIRONMENT_FAILED where the family cannot take the spaces, CONFIG_INVALID where its sizes do not fit them. */
export function createModel(spec: ModelSpec): Model {
  switch (spec.kind) {
    case "mlp":
      return mlp(spec);
    case "cnn":
      return cnn(spec);
    case "gru":
      return gru(spec);
    case "transformer":
      return transformer(spec);
  }
}
