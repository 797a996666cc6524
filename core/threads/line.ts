/**
 * The line to a worker thread that serves one port (serve.ts) for as long as its owner wants it, as one task of a
 * pool.
 *
 * Always: answers come in the order of the questions. A thread that fails says why before it ends; one that dies
 * without a word is found out by the end of its task. Either way every question, past and to come, is rejected with
 * the reason: nothing waits for a thread that is gone.
 */
import { MessageChannel, receiveMessageOnPort, type MessagePort } from "node:worker_threads";
import { Piscina } from "piscina";
import { messageOf, SkeinError } from "../errors.js";
import { buffersOf } from "./buffers.js";
import type { Failed, Message, Stop } from "./serve.js";

type OfKind<M extends Message, K> = Extract<M, { readonly kind: K }>;

interface Question<From> {
  readonly kind: string;
  readonly resolve: (answer: From) => void;
  readonly reject: (error: SkeinError) => void;
}

/** Threads that each run one task, the default export of `module`, for the life of the pool. */
export function threadPool(module: URL, threads: number): Piscina {
  return new Piscina({
    filename: module.href,
    minThreads: threads,
    maxThreads: threads,
    idleTimeout: Number.POSITIVE_INFINITY,
  });
}

export class ThreadLine<To extends Message, From extends Message> {
  /** Rejects when the thread fails, or ends without having been told to; never resolves. */
  readonly failed: Promise<never>;
  private readonly ended: Promise<void>;
  private readonly questions: Question<From>[] = [];
  /** Why there is no answer any more. */
  private end: SkeinError | null = null;
  private stopping = false;
  private fail: (error: SkeinError) => void = () => undefined;

  /** `task` settles when the thread has finished serving the other end of `port`. */
  constructor(
    private readonly name: string,
    private readonly port: MessagePort,
    task: Promise<unknown>,
  ) {
    this.failed = new Promise<never>((_, reject) => (this.fail = reject));
    this.failed.catch(() => undefined);
    port.on("message", (message: From | Failed) => this.take(message));
    this.ended = task.then(
      () => this.finish(new SkeinError("INTERNAL", `the ${name} has ended`)),
      (cause: unknown) => {
        const message = `the ${name} died: ${messageOf(cause)}`;
        this.finish(new SkeinError("INTERNAL", message, { cause }));
      },
    );
  }

  /**
   * Starts the thread, with `start` and a port; resolves to the line and the thread's first word, of kind "ready".
   * Rejects with what it failed with, under its code.
   */
  static async start<To extends Message, From extends Message>(
    pool: Piscina,
    name: string,
    start: object,
  ): Promise<{ readonly line: ThreadLine<To, From>; readonly ready: OfKind<From, "ready"> }> {
    const { port1, port2 } = new MessageChannel();
    const task = pool.run({ ...start, port: port2 }, { transferList: [port2] }) as Promise<unknown>;
    const line = new ThreadLine<To, From>(name, port1, task);
    return { line, ready: await line.answer("ready") };
  }

  /** Says something that has no answer; copies its arrays. */
  tell(message: To): void {
    this.port.postMessage(message);
  }

  /** Asks for an answer of `kind`. The arrays within `moved`, a part of the message, are moved, the others copied. */
  async ask<K extends From["kind"]>(message: To, kind: K, moved: unknown = null): Promise<OfKind<From, K>> {
    if (this.end === null) this.port.postMessage(message, buffersOf(moved));
    return this.answer(kind);
  }

  /** Tells the thread, which must be idle, to end; resolves when it has, whatever became of it. */
  async stop(): Promise<void> {
    this.stopping = true;
    const stop: Stop = { kind: "stop" };
    if (this.end === null) this.port.postMessage(stop);
    await this.ended;
  }

  /** The next answer, which must be of `kind`. */
  async answer<K extends From["kind"]>(kind: K): Promise<OfKind<From, K>> {
    if (this.end !== null) throw this.end;
    const answer = await new Promise<From>((resolve, reject) => {
      this.questions.push({ kind, resolve, reject });
    });
    return answer as OfKind<From, K>;
  }

  private take(message: From | Failed): void {
    if (isFailed(message)) {
      this.finish(new SkeinError(message.code, message.message));
      return;
    }
    const question = this.questions.shift();
    if (question?.kind === message.kind) {
      question.resolve(message);
      return;
    }
    const error = new SkeinError(
      "INTERNAL",
      `the ${this.name}: expected ${question?.kind ?? "nothing"}, got ${message.kind}`,
    );
    question?.reject(error);
    this.finish(error);
  }

  /** The first reason stays. */
  private finish(reason: SkeinError): void {
    // The end of the task can overtake what the thread said before it.
    for (;;) {
      if (this.end !== null) return;
      const received = receiveMessageOnPort(this.port) as { message: From | Failed } | undefined;
      if (received === undefined) break;
      this.take(received.message);
    }
    this.end = reason;
    this.port.close();
    if (!this.stopping) this.fail(reason);
    for (const { reject } of this.questions.splice(0)) reject(reason);
  }
}

function isFailed(message: Message): message is Failed {
  return message.kind === "failed";
}
