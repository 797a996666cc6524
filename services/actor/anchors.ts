/** The anchor keys that a rollout has met, numbered in the order of their first appearance. */
import { joinAnchorTexts } from "../../core/anchor-texts.js";

export class AnchorTable {
  private readonly numbers = new Map<string, number>();

  numberOf(key: string): number {
    const known = this.numbers.get(key);
    if (known !== undefined) return known;
    const number = this.numbers.size;
    this.numbers.set(key, number);
    return number;
  }

  texts(): Uint8Array {
    return joinAnchorTexts(this.numbers.keys());
  }
}
