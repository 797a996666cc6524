/**
 * Blackjack-v1: beat the dealer's hand without going over 21, cards drawn with replacement. Rules of Gymnasium
 * 1.3.0 `toy_text/blackjack.py` (Sutton & Barto 2018, example 5.1). Like Gymnasium's it has no time limit.
 */
import { z } from "zod";
import { ArrayEnvironment } from "../../core/env/array-environment.js";
import type { ActionArray, EnvironmentDefinition, EnvironmentSpec } from "../../core/env/environment.js";
import { discrete, multiDiscrete } from "../../core/env/spaces.js";
import type { Random } from "../../core/random.js";

const BEST = 21;
const DEALER_STANDS = 17;
const HIT = 1;

const paramsSchema = z.strictObject({
  natural: z
    .boolean()
    .default(false)
    .describe("Winning with ace and ten as the first two cards pays 1.5; only without sab"),
  sab: z
    .boolean()
    .default(true)
    .describe("Sutton & Barto's rules: ace and ten as the first two cards beat everything but the same"),
});
export type BlackjackRules = Readonly<z.infer<typeof paramsSchema>>;

const spec: EnvironmentSpec = {
  id: "Blackjack-v1",
  /** The player's sum, the dealer's open card (1 = ace), whether an ace of the player counts 11. */
  observationSpace: multiDiscrete([32, 11, 2]),
  actionSpace: discrete(2),
  maxEpisodeSteps: null,
  rewardThreshold: null,
  snapshots: true,
};

/** Ace 1, two to nine, and ten four times as often: ten, jack, queen, king. */
function drawCard(random: Random): number {
  return Math.min(random.integer(13) + 1, 10);
}

/** What a hand is worth: `total` counts every ace 1; one of them counts 11 where that does not exceed 21. */
export function handValue(total: number, hasAce: boolean): number {
  return hasAce && total + 10 <= BEST ? total + 10 : total;
}

/** State: player's total with aces 1, whether they hold an ace, number of cards; dealer's open and hidden card. */
export class Blackjack extends ArrayEnvironment {
  private readonly total: Float64Array;
  private readonly ace: Float64Array;
  private readonly cards: Float64Array;
  private readonly open: Float64Array;
  private readonly hidden: Float64Array;

  constructor(
    environmentSpec: EnvironmentSpec,
    count: number,
    private readonly rules: BlackjackRules,
  ) {
    super(environmentSpec, count, 5);
    this.total = this.state[0]!;
    this.ace = this.state[1]!;
    this.cards = this.state[2]!;
    this.open = this.state[3]!;
    this.hidden = this.state[4]!;
  }

  protected begin(i: number, random: Random): void {
    this.open[i] = drawCard(random);
    this.hidden[i] = drawCard(random);
    this.total[i] = 0;
    this.ace[i] = 0;
    this.cards[i] = 0;
    this.deal(i, random);
    this.deal(i, random);
  }

  /** Action 1 draws a card, 0 stands. */
  advance(i: number, actions: ActionArray): void {
    const random = this.random[i]!;
    if (actions[i] === HIT) {
      this.deal(i, random);
      const bust = this.total[i]! > BEST;
      this.terminated[i] = bust ? 1 : 0;
      this.rewards[i] = bust ? -1 : 0;
    } else {
      this.terminated[i] = 1;
      this.rewards[i] = this.settle(i, this.playDealer(i, random));
    }
  }

  observe(i: number, out: Float32Array, at: number): void {
    const total = this.total[i]!;
    const value = handValue(total, this.ace[i] === 1);
    out[at] = value;
    out[at + 1] = this.open[i]!;
    out[at + 2] = value === total ? 0 : 1;
  }

  private deal(i: number, random: Random): void {
    const card = drawCard(random);
    this.total[i]! += card;
    this.cards[i]! += 1;
    if (card === 1) this.ace[i] = 1;
  }

  /** The dealer draws until 17 or more. Value of their hand; 0 = over 21. */
  private playDealer(i: number, random: Random): number {
    let total = this.open[i]! + this.hidden[i]!;
    let ace = this.open[i] === 1 || this.hidden[i] === 1;
    while (handValue(total, ace) < DEALER_STANDS) {
      const card = drawCard(random);
      total += card;
      ace ||= card === 1;
    }
    return total > BEST ? 0 : handValue(total, ace);
  }

  /** Reward of standing against a dealer's hand of value `dealer`. */
  private settle(i: number, dealer: number): number {
    const { natural, sab } = this.rules;
    const isNatural = this.cards[i] === 2 && this.ace[i] === 1 && this.total[i] === 11;
    const dealerIsNatural =
      Math.min(this.open[i]!, this.hidden[i]!) === 1 && this.open[i]! + this.hidden[i]! === 11;
    if (sab && isNatural && !dealerIsNatural) return 1;
    const reward = Math.sign(handValue(this.total[i]!, this.ace[i] === 1) - dealer);
    return !sab && natural && isNatural && reward === 1 ? 1.5 : reward;
  }
}

export const blackjack: EnvironmentDefinition<BlackjackRules> = {
  id: spec.id,
  params: paramsSchema,
  spec: () => spec,
  vectorize: (environmentSpec, params, count) => new Blackjack(environmentSpec, count, params),
};
