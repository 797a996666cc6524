/** A nats-server with JetStream and a store on disk, on any free port of this machine. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LineProcess } from "./lines.js";

const START_SECONDS = 15;

export interface NatsServer {
  /** `nats://host:port` */
  readonly url: string;
  close(): Promise<void>;
}

/** Throws UNAVAILABLE where there is no nats-server. */
export async function startNatsServer(): Promise<NatsServer> {
  const folder = await mkdtemp(join(tmpdir(), "skein-bench-nats-"));
  // It tells on stderr where it listens.
  const command = 'exec nats-server -js -a 127.0.0.1 -p -1 -sd "$0" 2>&1';
  const lines = new LineProcess("nats-server", "sh", ["-c", command, folder]);
  const close = async (): Promise<void> => {
    await lines.close();
    await rm(folder, { recursive: true, force: true });
  };
  try {
    let address = "";
    for (;;) {
      const line = await lines.next(START_SECONDS);
      address = /Listening for client connections on (\S+)/.exec(line)?.[1] ?? address;
      if (line.endsWith("Server is ready")) return { url: `nats://${address}`, close };
    }
  } catch (error) {
    await close();
    throw error;
  }
}
