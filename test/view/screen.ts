/** A terminal small enough to trust: it does what the live view's escape sequences say, and knows no others. */
import type { ViewStream } from "../../cli/view/view.js";

// eslint-disable-next-line no-control-regex
const TOKEN = /\u001b\[(\??)(\d*(?:;\d+)*)([A-Za-z])|\r|\n|[^\u001b\r\n]/gu;

export class Screen implements ViewStream {
  cursorVisible = true;
  writes = 0;
  /** Colour changes seen. */
  colours = 0;
  /** Lines that have left the screen at the top. */
  readonly scrolledOff: string[] = [];
  private lines: string[][] = [[]];
  private row = 0;
  private column = 0;
  private readonly listeners = new Set<() => void>();

  constructor(
    public columns: number,
    public rows: number,
  ) {}

  /** What is on the screen, without blanks at line ends and empty lines at the bottom. */
  get text(): string[] {
    const text = this.lines.map((line) =>
      Array.from(line, (cell) => cell ?? " ")
        .join("")
        .trimEnd(),
    );
    while (text.length > 0 && text[text.length - 1] === "") text.pop();
    return text;
  }

  get cursorRow(): number {
    return this.row;
  }

  get resizeListeners(): number {
    return this.listeners.size;
  }

  on(_event: "resize", listener: () => void): void {
    this.listeners.add(listener);
  }

  off(_event: "resize", listener: () => void): void {
    this.listeners.delete(listener);
  }

  /** Changes the size as terminals do: lines that have become too long are wrapped. */
  resize(columns: number, rows: number): void {
    const before = this.lines.slice(0, this.row);
    this.columns = columns;
    this.rows = rows;
    this.lines = before.flatMap((line) => {
      const pieces: string[][] = [];
      for (let at = 0; at < Math.max(1, line.length); at += columns)
        pieces.push(line.slice(at, at + columns));
      return pieces;
    });
    this.row = this.lines.length;
    this.lines.push([]);
    this.column = 0;
    this.scroll();
    for (const listener of this.listeners) listener();
  }

  write(text: string): void {
    this.writes += 1;
    let read = 0;
    for (const match of text.matchAll(TOKEN)) {
      read += match[0].length;
      if (match[3] !== undefined) this.control(match[1]!, match[2]!, match[3]);
      else this.put(match[0]);
    }
    if (read !== text.length) throw new Error(`unknown escape sequence in ${JSON.stringify(text)}`);
  }

  private control(mark: string, argument: string, command: string): void {
    if (mark === "?" && argument === "25") this.cursorVisible = command === "h";
    else if (command === "A") this.row = Math.max(0, this.row - Number(argument));
    else if (command === "K" && argument === "2") this.lines[this.row] = [];
    else if (command === "J" && argument === "") this.lines.splice(this.row, this.lines.length, []);
    else if (command === "m") this.colours += 1;
    else throw new Error(`unknown escape sequence ESC [ ${mark}${argument} ${command}`);
  }

  private put(character: string): void {
    if (character === "\r") {
      this.column = 0;
    } else if (character === "\n") {
      this.row += 1;
      this.column = 0;
      this.lines[this.row] ??= [];
      this.scroll();
    } else {
      if (this.column >= this.columns)
        throw new Error(`wider than ${this.columns} columns: ${this.lines[this.row]!.join("")}`);
      this.lines[this.row]![this.column] = character;
      this.column += 1;
    }
  }

  private scroll(): void {
    while (this.lines.length > this.rows) {
      this.scrolledOff.push(this.lines.shift()!.join(""));
      this.row -= 1;
    }
  }
}

/** A stream that only remembers; not a terminal. */
export class Sink implements ViewStream {
  text = "";

  write(text: string): void {
    this.text += text;
  }

  get lines(): string[] {
    return this.text.split("\n").slice(0, -1);
  }
}
