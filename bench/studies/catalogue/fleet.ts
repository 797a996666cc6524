/** What all studies' runs begin with: one actor process, one thread of the engine, no pages. */
import type { RunFile } from "../study.js";

export const fleet: RunFile = {
  actors: { processes: 1, http: null },
  learner: { http: null, engineThreads: 1 },
  coordinator: { http: null },
};
