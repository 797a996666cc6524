/** Coordinators of the tests of one file: killed after each, their books in a folder of the test's own, time standing still. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, vi } from "vitest";
import type { RolloutRequest } from "../../core/types.js";
import type { Method } from "../../services/coordinator/dispatch.js";
import { Place } from "./coordinator-place.js";

export interface Places {
  /** Of the running test. */
  readonly folder: string;
  /** Books in a file of the folder, the same for all of a test. */
  open(run?: Readonly<Record<string, unknown>>, method?: Method): Promise<Place>;
  /** Books in memory, gone with their coordinator. */
  openInMemory(): Promise<Place>;
}

/** To be called once, at the top of a test file. Timers of tests move only where a test moves them. */
export function placesOfTests(name: string): Places {
  let folder = "";
  const open: Place[] = [];
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    folder = mkdtempSync(join(tmpdir(), `skein-${name}-`));
  });
  afterEach(async () => {
    await Promise.all(open.splice(0).map((place) => place.kill()));
    rmSync(folder, { recursive: true, force: true });
    vi.useRealTimers();
  });
  const keep = async (opening: Promise<Place>): Promise<Place> => {
    const place = await opening;
    open.push(place);
    return place;
  };
  return {
    get folder() {
      return folder;
    },
    open: (run = {}, method = {}) => keep(Place.open(run, join(folder, "coordinator.db"), method)),
    openInMemory: () => keep(Place.open()),
  };
}

/** A learner at work and `count` requests of an actor's seat 0. */
export async function workingSeat(
  places: Places,
  count: number,
  run: Readonly<Record<string, unknown>> = {},
) {
  const place = await places.open({ staleness: { maxPolicyLag: 9 }, ...run });
  const learner = await place.learner();
  const actor = await place.actor();
  const ids: number[] = [];
  for (let k = 0; k < count; k++) ids.push((await place.work(actor, 0)).requestId);
  return { place, learner, actor, ids };
}

export const GROUPS = { size: 3, tasks: 5, deadlineSeconds: 20, maxAttempts: 2 };

/** A batch of 30 steps; a member counts as 10 steps until one is known, so a group of three is a batch. */
export const GROUPS_RUN = {
  groups: GROUPS,
  recipe: { params: { batchSteps: 30 } },
  actors: { processes: 2, environments: 2, fragmentSteps: 10 },
  coordinator: { leaseSeconds: 600 },
};

/** A learner at work and two actors, of a run with groups. */
export async function workingGroups(places: Places, run: object = {}, method: Method = {}) {
  const place = await places.open({ ...GROUPS_RUN, ...run }, method);
  const learner = await place.learner();
  const actors = [await place.actor("a"), await place.actor("b")] as const;
  return { place, learner, actors };
}

/** Each member of the next groups, until there is no room. */
export async function everything(place: Place, leaseId: string): Promise<readonly RolloutRequest[]> {
  return (await place.acquire(leaseId, 0, { capacity: 100 })).requests;
}

/** An episode of that length, as an outcome says it. */
export const ended = (length: number, episodeReturn = length) => ({
  ...{ steps: length, episodeLength: length, episodeReturn },
});
