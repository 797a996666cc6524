/**
 * Blackjack against two oracles: hands that Gymnasium 1.3.0 itself settled, and chances worked out here by
 * recursion over lists of cards, card by card.
 */
import { describe, expect, it } from "vitest";
import type { Blackjack, BlackjackRules } from "../../envs/cards/blackjack.js";
import { findEnvironment } from "../../envs/index.js";
import { sample } from "./goldens.js";

const STAND = 0;
const HIT = 1;
const DECK = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 10, 10, 10];

function make(count: number, rules: Partial<BlackjackRules> = {}): Blackjack {
  const definition = findEnvironment("Blackjack-v1");
  const params = definition.params.parse(rules);
  return definition.vectorize(definition.spec(params), params, count) as Blackjack;
}

/** Puts instance i before these cards. */
function place(env: Blackjack, i: number, player: readonly number[], dealer: readonly number[]): void {
  const values = [
    player.reduce((a, b) => a + b),
    player.includes(1) ? 1 : 0,
    player.length,
    dealer[0]!,
    dealer[1]!,
  ];
  values.forEach((value, k) => (env.state[k]![i] = value));
}

/** Best sum of a hand: every ace tried as 1 and as 11. */
function best(hand: readonly number[]): number {
  let sums = [0];
  for (const card of hand) {
    sums = [...new Set(sums.flatMap((sum) => (card === 1 ? [sum + 1, sum + 11] : [sum + card])))];
  }
  const fitting = sums.filter((sum) => sum <= 21);
  return fitting.length > 0 ? Math.max(...fitting) : Math.min(...sums);
}

/** Chance of each final sum of a dealer who holds `hand` and draws until 17; 22 stands for every sum above 21. */
const dealerCache = new Map<string, Map<number, number>>();
function dealerOutcomes(hand: readonly number[]): Map<number, number> {
  const key = [...hand].sort().join(" ");
  const cached = dealerCache.get(key);
  if (cached !== undefined) return cached;
  const outcomes = new Map<number, number>();
  const sum = best(hand);
  if (sum >= 17) {
    outcomes.set(Math.min(sum, 22), 1);
  } else {
    for (const card of DECK) {
      for (const [end, p] of dealerOutcomes([...hand, card])) {
        outcomes.set(end, (outcomes.get(end) ?? 0) + p / DECK.length);
      }
    }
  }
  dealerCache.set(key, outcomes);
  return outcomes;
}

function isNatural(hand: readonly number[]): boolean {
  return hand.length === 2 && hand.includes(1) && hand.includes(10);
}

/** Expected reward and mean square of standing on `player` with the dealer showing `open`. */
function valueOfStanding(player: readonly number[], open: number, rules: BlackjackRules): number[] {
  const mean = [0, 0];
  const sum = best(player);
  for (const hidden of DECK) {
    for (const [end, p] of dealerOutcomes([open, hidden])) {
      const dealer = end > 21 ? 0 : end;
      let reward = Math.sign(sum - dealer);
      if (rules.sab && isNatural(player) && !isNatural([open, hidden])) reward = 1;
      if (!rules.sab && rules.natural && isNatural(player) && reward === 1) reward = 1.5;
      mean[0]! += (p / DECK.length) * reward;
      mean[1]! += (p / DECK.length) * reward * reward;
    }
  }
  return mean;
}

/** The same for drawing until 17. `seen` keeps the hands met, whose order of cards does not matter. */
function valueOfDrawing(
  player: readonly number[],
  open: number,
  rules: BlackjackRules,
  seen: Map<string, number[]>,
): number[] {
  const key = `${open}: ${[...player].sort().join(" ")}`;
  const met = seen.get(key);
  if (met !== undefined) return met;
  const sum = best(player);
  let mean = [0, 0];
  if (sum > 21) {
    mean = [-1, 1];
  } else if (sum >= 17) {
    mean = valueOfStanding(player, open, rules);
  } else {
    for (const card of DECK) {
      const next = valueOfDrawing([...player, card], open, rules, seen);
      mean = mean.map((value, k) => value + next[k]! / DECK.length);
    }
  }
  seen.set(key, mean);
  return mean;
}

describe("hands that Gymnasium settled", () => {
  it("are observed and rewarded as there, under all four combinations of natural and sab", () => {
    for (const [player, dealer, natural, sab, observation, reward] of sample.blackjack) {
      const env = make(1, { natural, sab });
      env.reset(Uint32Array.of(0));
      place(env, 0, player, dealer);
      const seen = new Float32Array(3);
      env.observe(0, seen, 0);
      const title = `${player.join("+")} against ${dealer.join("+")}, natural ${natural}, sab ${sab}`;
      expect([...seen], title).toEqual(observation);
      env.step(Int32Array.of(STAND));
      expect(env.rewards[0], title).toBe(reward);
      expect([env.terminated[0], env.truncated[0]], title).toEqual([1, 0]);
    }
  });
});

describe("the deal", () => {
  it("gives every first observation as often as two cards from thirteen do", () => {
    const count = 100_000;
    const env = make(count);
    env.reset(Uint32Array.from({ length: count }, (_, i) => i));
    const expected = new Map<string, number>();
    for (const a of DECK) {
      for (const b of DECK) {
        for (const open of DECK) {
          const usable = best([a, b]) === a + b ? 0 : 1;
          const key = `${best([a, b])} ${open} ${usable}`;
          expected.set(key, (expected.get(key) ?? 0) + 1 / DECK.length ** 3);
        }
      }
    }
    const seen = new Map<string, number>();
    for (let i = 0; i < count; i++) {
      const key = env.observations.subarray(i * 3, i * 3 + 3).join(" ");
      seen.set(key, (seen.get(key) ?? 0) + 1);
    }
    expect([...seen.keys()].filter((key) => !expected.has(key))).toEqual([]);
    for (const [key, p] of expected) {
      const error = Math.abs((seen.get(key) ?? 0) - count * p);
      expect(error, key).toBeLessThan(5 * Math.sqrt(count * p * (1 - p)));
    }
  });
});

describe("the dealer", () => {
  it.each([1, 2, 6, 10])("showing %i ends on each sum as often as the recursion says", (open) => {
    const count = 65_000;
    const expected = new Map<number, number>();
    for (const hidden of DECK) {
      for (const [end, p] of dealerOutcomes([open, hidden])) {
        expected.set(end, (expected.get(end) ?? 0) + p / DECK.length);
      }
    }
    // Standing on 17 … 21 of three cards: win, draw and loss frequencies give the whole distribution.
    for (let sum = 17; sum <= 21; sum++) {
      const env = make(count);
      env.reset(Uint32Array.from({ length: count }, (_, i) => i + sum));
      for (let i = 0; i < count; i++) place(env, i, [10, 5, sum - 15], [open, DECK[i % DECK.length]!]);
      env.step(new Int32Array(count).fill(STAND));
      const chance = (fits: (end: number) => boolean): number =>
        [...expected].reduce((total, [end, p]) => total + (fits(end) ? p : 0), 0);
      const close = (reward: number, p: number): void => {
        const hits = env.rewards.filter((r) => r === reward).length;
        expect(Math.abs(hits - count * p)).toBeLessThan(5 * Math.sqrt(count * p * (1 - p)) + 1e-9);
      };
      close(
        1,
        chance((end) => end > 21 || end < sum),
      );
      close(
        0,
        chance((end) => end === sum),
      );
      close(
        -1,
        chance((end) => end <= 21 && end > sum),
      );
    }
  });
});

describe("drawing", () => {
  it("ends the game with −1 exactly where the sum passes 21", () => {
    const count = 20_000;
    const env = make(count);
    env.reset(Uint32Array.from({ length: count }, (_, i) => i));
    for (let i = 0; i < count; i++) place(env, i, [10, 6], [9, 9]);
    env.step(new Int32Array(count).fill(HIT));
    let busts = 0;
    for (let i = 0; i < count; i++) {
      const last = env.terminated[i] === 1 ? env.finalObservations : env.observations;
      const bust = last[i * 3]! > 21;
      busts += bust ? 1 : 0;
      expect([env.rewards[i], env.terminated[i]]).toEqual(bust ? [-1, 1] : [0, 0]);
    }
    // 6, 7, 8, 9 and the four tens of thirteen cards bust a 16.
    const p = 8 / 13;
    expect(Math.abs(busts - count * p)).toBeLessThan(5 * Math.sqrt(count * p * (1 - p)));
  });

  it("turns a usable ace into a one instead of a bust", () => {
    const env = make(1);
    env.reset(Uint32Array.of(4));
    for (let k = 0; k < 50; k++) {
      place(env, 0, [1, 6, 4 + 6], [9, 9]);
      const seen = new Float32Array(3);
      env.observe(0, seen, 0);
      expect([...seen]).toEqual([17, 9, 0]);
      place(env, 0, [1, 6], [9, 9]);
      env.step(Int32Array.of(HIT));
      expect(env.terminated[0]).toBe(0);
      expect(env.observations[0]).toBeLessThanOrEqual(21);
    }
  });
});

describe("whole games", () => {
  const rules = [
    { natural: false, sab: true },
    { natural: false, sab: false },
    { natural: true, sab: false },
  ];
  it.each(rules)("drawing to 17 earn on average what the recursion says, under %o", (rule) => {
    const expected = [0, 0];
    const seen = new Map<string, number[]>();
    for (const open of DECK) {
      for (const a of DECK) {
        for (const b of DECK) {
          const [reward, square] = valueOfDrawing([a, b], open, rule, seen);
          expected[0]! += reward! / DECK.length ** 3;
          expected[1]! += square! / DECK.length ** 3;
        }
      }
    }
    const count = 1000;
    const env = make(count, rule);
    env.reset(Uint32Array.from({ length: count }, (_, i) => i + 77));
    const actions = new Int32Array(count);
    let [games, total] = [0, 0];
    for (let t = 0; t < 600; t++) {
      for (let i = 0; i < count; i++) actions[i] = env.observations[i * 3]! >= 17 ? STAND : HIT;
      env.step(actions);
      for (let i = 0; i < count; i++) {
        games += env.terminated[i]!;
        total += env.rewards[i]!;
      }
    }
    const deviation = Math.sqrt((expected[1]! - expected[0]! ** 2) / games);
    expect(games).toBeGreaterThan(200_000);
    expect(Math.abs(total / games - expected[0]!)).toBeLessThan(5 * deviation);
  });
});
