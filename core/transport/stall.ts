/** A sender that stops in the middle of a message is not waited for. */
import { SkeinError } from "../errors.js";

export class Stall {
  private timer: NodeJS.Timeout | undefined;

  /** `end` is called with UNAVAILABLE where nothing came for `seconds` while something was awaited. */
  constructor(
    private readonly seconds: number,
    private readonly end: (error: SkeinError) => void,
  ) {}

  /** Starts the time anew, or stops it where nothing is awaited. */
  await(something: boolean): void {
    clearTimeout(this.timer);
    if (!something) return;
    this.timer = setTimeout(() => {
      const message = `a message stood still for ${this.seconds} s before its end`;
      this.end(new SkeinError("UNAVAILABLE", message));
    }, 1000 * this.seconds);
  }
}
