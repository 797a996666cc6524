/**
 * The live view: one frame redrawn in place, at most ten times a second. While it runs nobody else may write to the
 * terminal. Whatever the order of calls, at most one timer is pending, and after `close` none is.
 */
import type { RunEvent } from "../../core/progress.js";
import { systemClock, type Clock } from "./clock.js";
import { frameLines } from "./frame.js";
import { initialState, nextState, type ViewState } from "./state.js";
import { lineWidth, paint } from "./text.js";
import type { RunHeader, View, ViewStream } from "./view.js";

export interface TerminalViewOptions {
  readonly stream: ViewStream;
  readonly header: RunHeader;
  readonly color: boolean;
  readonly clock?: Clock;
}

const REDRAW_MILLISECONDS = 100;
const HIDE_CURSOR = "\u001b[?25l";
const SHOW_CURSOR = "\u001b[?25h";
const CLEAR_LINE = "\u001b[2K";
const CLEAR_BELOW = "\u001b[J";

export class TerminalView implements View {
  private readonly stream: ViewStream;
  private readonly color: boolean;
  private readonly clock: Clock;
  private readonly onResize = (): void => this.schedule();
  private state: ViewState;
  /** Widths of the lines on the screen, columns: a terminal made narrower has wrapped them. */
  private drawn: readonly number[] = [];
  private drawnAt = Number.NEGATIVE_INFINITY;
  private cancel: (() => void) | null = null;
  private closed = false;

  constructor(options: TerminalViewOptions) {
    this.stream = options.stream;
    this.color = options.color;
    this.clock = options.clock ?? systemClock;
    this.state = initialState(options.header);
    this.stream.on?.("resize", this.onResize);
    this.stream.write(HIDE_CURSOR);
    this.draw(this.screenRows());
  }

  event(event: RunEvent): void {
    if (this.closed) return;
    this.state = nextState(this.state, event);
    this.schedule();
  }

  /** Draws the last frame in full, leaves it there and shows the cursor below it. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.cancel?.();
    this.cancel = null;
    this.stream.off?.("resize", this.onResize);
    this.draw(Number.POSITIVE_INFINITY);
    this.stream.write(SHOW_CURSOR);
  }

  private columns(): number {
    return this.stream.columns || 80;
  }

  /** One row is the cursor's. */
  private screenRows(): number {
    return Math.max(1, (this.stream.rows || 24) - 1);
  }

  private schedule(): void {
    if (this.cancel !== null) return;
    const wait = this.drawnAt + REDRAW_MILLISECONDS - this.clock.now();
    if (wait <= 0) {
      this.draw(this.screenRows());
      return;
    }
    this.cancel = this.clock.after(wait, () => {
      this.cancel = null;
      this.draw(this.screenRows());
    });
  }

  private draw(rows: number): void {
    const columns = this.columns();
    const up = this.drawn.reduce((sum, width) => sum + Math.max(1, Math.ceil(width / columns)), 0);
    const lines = frameLines(this.state, columns, rows);
    const home = up > 0 ? `\r\u001b[${up}A` : "\r";
    const text = lines.map((line) => `${CLEAR_LINE}${paint(line, this.color)}\n`).join("");
    this.stream.write(home + text + CLEAR_BELOW);
    this.drawn = lines.map(lineWidth);
    this.drawnAt = this.clock.now();
  }
}
