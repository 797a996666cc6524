/** What every transport must do, run over all of them. */
import { describe } from "vitest";
import { controlConformance } from "./conformance/control.js";
import { kinds } from "./conformance/harness.js";
import { answerConformance, rolloutConformance } from "./conformance/rollouts.js";
import { settlementConformance } from "./conformance/settlement.js";
import { relayConformance, weightsConformance } from "./conformance/weights.js";

describe.each(kinds)("the $kind transport", (kind) => {
  controlConformance(kind);
  weightsConformance(kind);
  relayConformance(kind);
  rolloutConformance(kind);
  answerConformance(kind);
  settlementConformance(kind);
});
