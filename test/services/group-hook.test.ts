import { describe, expect, it } from "vitest";
import { taskOrder } from "../../services/coordinator/allocator.js";
import type { GroupHook, SealedGroup } from "../../services/coordinator/group-hook.js";
import { outcome } from "./coordinator-place.js";
import { ended, everything, placesOfTests, workingGroups } from "./coordinator-places.js";

const places = placesOfTests("group-hook");

describe("a group hook", () => {
  it("is asked once for each sealed group, and what it orders is collected before anything else", async () => {
    const asked: SealedGroup[] = [];
    const hook: GroupHook = {
      sealed: (group) => {
        asked.push(group);
        return group.group === 1 ? [taskOrder(1, 77)] : [];
      },
    };
    const { place, learner, actors } = await workingGroups(places, {}, { hook });
    const members = await everything(place, actors[0]);
    const held = members
      .slice(0, 3)
      .map(({ requestId }, k) => outcome(requestId, "held", ended(10, 100 + k)));
    await place.report(learner, { outcomes: held });
    expect(asked).toHaveLength(1);
    expect(asked[0]).toMatchObject({
      ...{ group: 1, task: members[0]!.task, seed: members[0]!.seed },
      members: [0, 1, 2].map((member) => ({
        member,
        steps: 10,
        episodeReturn: 100 + member,
        episodeLength: 10,
      })),
    });
    // There is no room for more groups, but what follows has been decided.
    const follow = await everything(place, actors[1]);
    expect(follow).toHaveLength(3);
    for (const request of follow) {
      expect(request).toMatchObject({ group: 3, task: "task-77", seed: taskOrder(1, 77).seed });
    }
    // Neither a repeat nor another learner makes it follow once more.
    await place.report(learner, { outcomes: held });
    const next = await place.learner({ incarnation: "b" });
    await place.report(next, { outcomes: held });
    expect(asked).toHaveLength(1);
  });

  it("loses nothing of what it ordered when the coordinator is killed", async () => {
    const hook: GroupHook = { sealed: ({ group }) => (group === 1 ? [taskOrder(1, 77)] : []) };
    const { place, learner, actors } = await workingGroups(places, {}, { hook });
    const members = await everything(place, actors[0]);
    const held = members.slice(0, 3).map(({ requestId }) => outcome(requestId, "held", ended(10)));
    await place.report(learner, { outcomes: held });
    await place.restart();
    const follow = await everything(place, actors[1]);
    expect(follow).toMatchObject([{ task: "task-77" }, { task: "task-77" }, { task: "task-77" }]);
  });
});
