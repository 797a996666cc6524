/** A bounded number of wrong messages; `npm run fuzz` sends more. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Workplace } from "../e2e/skein.js";
import { decoders, fuzzDecoder } from "./codecs.js";
import { fuzzCoordinator, fuzzLearner } from "./services.js";

const INPUTS = 2000;

describe("every decoder", () => {
  it.each(decoders.map((decoder) => [decoder.name, decoder] as const))(
    "of %s ends in a value or a SkeinError",
    (_, decoder) => {
      expect(() => decoder.decode(decoder.sample)).not.toThrow();
      expect(fuzzDecoder(decoder, INPUTS, 20_260)).toBeGreaterThan(decoder.sample.byteLength === 0 ? -1 : 0);
    },
  );
});

describe("under wrong calls to all its methods", () => {
  let place: Workplace;

  beforeEach(async () => {
    place = await Workplace.create();
  });

  afterEach(() => place.clear());

  it("a coordinator neither dies, hangs, grows nor loses count", async () => {
    const tally = await fuzzCoordinator(place, { inputs: INPUTS, seed: 1 });
    expect(tally.get("Status 0")).toBeGreaterThan(0);
    expect(tally.get("Register 0")).toBeGreaterThan(0);
    expect([...tally.keys()].some((key) => key.startsWith("PublishWeights"))).toBe(true);
  });

  it("a learner neither dies, hangs nor grows", async () => {
    const tally = await fuzzLearner(place, { inputs: INPUTS, seed: 2 });
    expect([...tally.values()].reduce((sum, count) => sum + count, 0)).toBe(INPUTS);
  });
});
