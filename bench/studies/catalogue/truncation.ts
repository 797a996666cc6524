/** What comes after a time limit. */
import { fileURLToPath } from "node:url";
import { finalReturn, meanReturn, returnCurve, type Study } from "../study.js";
import { fleet } from "./fleet.js";

const module = fileURLToPath(new URL("../limit-as-end.js", import.meta.url));

export const truncationStudies: readonly Study[] = [
  {
    name: "truncation",
    title: "A time limit bootstrapped, and taken for an end, on CartPole-v1",
    question:
      "At 500 steps an episode of CartPole is cut, with a pole that stands. Bootstrapped, the value of what would have followed " +
      "stands in for it; taken for an end, the same state is worth nothing there and much a step earlier (Pardo et al. 2018). " +
      "Published: about 500 against 480.",
    base: {
      ...fleet,
      environment: { id: "CartPole-v1" },
      actors: { processes: 1, fragmentSteps: 64, http: null },
      recipe: {
        params: {
          ...{ batchSteps: 1024, epochs: 10, learningRate: 0.0025, annealLearningRate: false },
          ...{ lambda: 0.98, entropyCoefficient: 0 },
        },
      },
      stop: { envSteps: 150_000 },
    },
    arms: [
      { name: "bootstrapped", run: {} },
      { name: "taken for an end", run: { environment: { id: "CartPole-LimitAsEnd-v1", module } } },
    ],
    seeds: 10,
    measures: [finalReturn, meanReturn],
    claims: [{ measure: finalReturn.name, kind: "above", a: "bootstrapped", b: "taken for an end" }],
    curve: returnCurve,
  },
];
