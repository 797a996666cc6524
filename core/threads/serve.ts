/** A thread's side of its line (line.ts): begins, says that it is ready, answers until it is told to stop. */
import type { MessagePort } from "node:worker_threads";
import { toSkeinError, type ErrorCode } from "../errors.js";
import { buffersOf } from "./buffers.js";

export interface Message {
  readonly kind: string;
}

/** What the other side may say to any thread; the thread then closes its work and ends. */
export interface Stop {
  readonly kind: "stop";
}

/** What any thread may say: its last word. */
export interface Failed {
  readonly kind: "failed";
  readonly code: ErrorCode;
  readonly message: string;
}

/** What a thread does. Messages are handed over as they come, also while an earlier one is being handled. */
export interface Work<To extends Message, From extends Message> {
  /** The first word. */
  readonly ready: From;
  /** The answer, which must own its arrays: they are moved to the other side. Null = none. */
  handle(message: To): Promise<From | null>;
  close(): void | Promise<void>;
}

/** The task of a thread: serves `port` until told to stop. A failure is told over the port, with its code. */
export async function serve<To extends Message, From extends Message>(
  port: MessagePort,
  begin: () => Promise<Work<To, From>>,
): Promise<void> {
  const tell = (message: From | Failed): void => port.postMessage(message, buffersOf(message));
  try {
    const work = await begin();
    await new Promise<void>((resolve, reject) => {
      const take = async (message: To | Stop): Promise<void> => {
        if (isStop(message)) return resolve();
        const answer = await work.handle(message);
        if (answer !== null) tell(answer);
      };
      port.on("message", (message: To | Stop) => void take(message).catch(reject));
      // The other side is gone, or wants no more of this thread.
      port.once("close", resolve);
      tell(work.ready);
    });
    await work.close();
  } catch (error) {
    const { code, message } = toSkeinError(error);
    tell({ kind: "failed", code, message });
  } finally {
    port.close();
  }
}

function isStop(message: Message): message is Stop {
  return message.kind === "stop";
}
