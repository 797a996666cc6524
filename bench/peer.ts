/**
 * PyTorch's side: one Python process, kept warm, asked in lines.
 *
 *   → case {…}          ← {"parameters": 9155}      makes the case's network and data, forgetting the last one's
 *   → run <iterations>  ← {"seconds": 0.25}         does its work that many times
 */
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { SkeinError } from "../core/errors.js";
import type { Side } from "./alternate.js";
import type { Case } from "./cases.js";
import { LineProcess } from "./lines.js";

const PROGRAM = fileURLToPath(new URL("../../bench/peers/engine.py", import.meta.url));
/** Importing PyTorch from a cold disk is the longest. */
const ANSWER_SECONDS = 300;

const hello = z.object({ torch: z.string(), threads: z.int() });
const made = z.object({ parameters: z.int() });
const ran = z.object({ seconds: z.number().nonnegative() });

export class Peer {
  private constructor(
    private readonly process: LineProcess,
    readonly detail: string,
  ) {}

  /** Throws UNAVAILABLE with the reason where there is no Python, or no PyTorch in it. */
  static async start(python: string, threads: number): Promise<Peer> {
    const process = new LineProcess(`PyTorch by ${python}`, python, ["-u", PROGRAM, String(threads)]);
    try {
      const { torch, threads: count } = hello.parse(JSON.parse(await process.next(ANSWER_SECONDS)));
      return new Peer(process, `PyTorch ${torch} eager, ${count} threads`);
    } catch (error) {
      await process.close();
      throw error;
    }
  }

  async side(item: Case): Promise<Side> {
    const { parameters } = await this.ask(`case ${JSON.stringify(item)}`, made);
    return {
      parameters,
      run: async (iterations) => (await this.ask(`run ${iterations}`, ran)).seconds,
      close: async () => undefined,
    };
  }

  async close(): Promise<void> {
    await this.process.close();
  }

  private async ask<T>(line: string, answer: z.ZodType<T>): Promise<T> {
    this.process.write(line);
    const reply = await this.process.next(ANSWER_SECONDS);
    const parsed = answer.safeParse(JSON.parse(reply));
    if (parsed.success) return parsed.data;
    throw new SkeinError("INTERNAL", `bench/peers/engine.py: expected an answer to "${line}", got ${reply}`);
  }
}
