/** What schedules need of the machine: network namespaces, small disks, programs; and why one cannot have it. */
import { execFile } from "node:child_process";
import { open, mkdir, rm, statfs } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

/** Something of the machine that is given back. */
export interface Borrowed {
  release(): Promise<void>;
}

/** null = network namespaces and mounts can be made; else why not. */
export async function whyNotRoot(): Promise<string | null> {
  if (process.getuid?.() !== 0) return "skipped: needs root";
  return run("ip", ["-V"]).then(
    () => null,
    () => "skipped: no command ip (Debian: apt-get install iproute2)",
  );
}

let namespaces = 0;

/** A network namespace, joined to this one by a pair of interfaces, or alone with its own loopback. */
export class Namespace implements Borrowed {
  private constructor(
    readonly name: string,
    private readonly device: string,
    /** The near end's address; empty where alone. */
    readonly nearAddress: string,
  ) {}

  static async alone(): Promise<Namespace> {
    const name = `skein-${process.pid}-${++namespaces}`;
    await run("ip", ["netns", "add", name]);
    const namespace = new Namespace(name, "lo", "");
    await namespace.plug(true);
    return namespace;
  }

  static async joined(): Promise<Namespace> {
    const number = ++namespaces;
    const name = `skein-${process.pid}-${number}`;
    const near = `sk${process.pid % 100_000}n${number}`;
    const far = `sk${process.pid % 100_000}f${number}`;
    const subnet = `10.${200 + (process.pid % 50)}.${number % 250}`;
    await run("ip", ["netns", "add", name]);
    await run("ip", ["link", "add", near, "type", "veth", "peer", "name", far, "netns", name]);
    await run("ip", ["addr", "add", `${subnet}.1/24`, "dev", near]);
    await run("ip", ["link", "set", near, "up"]);
    await run("ip", ["-n", name, "addr", "add", `${subnet}.2/24`, "dev", far]);
    await run("ip", ["-n", name, "link", "set", "lo", "up"]);
    const namespace = new Namespace(name, far, `${subnet}.1`);
    await namespace.plug(true);
    return namespace;
  }

  /** As one says it before a command that is to run in it. */
  get under(): string[] {
    return ["ip", "netns", "exec", this.name];
  }

  /** Takes the interface up, or down: what is sent then is lost, and nobody is told. */
  async plug(up: boolean): Promise<void> {
    await run("ip", ["-n", this.name, "link", "set", this.device, up ? "up" : "down"]);
  }

  async release(): Promise<void> {
    await run("ip", ["netns", "del", this.name]);
  }
}

/** A file system in memory that is soon full. */
export class SmallDisk implements Borrowed {
  private constructor(readonly folder: string) {}

  static async mount(folder: string, bytes: number): Promise<SmallDisk> {
    await mkdir(folder, { recursive: true });
    await run("mount", ["-t", "tmpfs", "-o", `size=${bytes}`, "tmpfs", folder]);
    return new SmallDisk(folder);
  }

  /** Leaves `leaveBytes` free, about. */
  async fill(leaveBytes: number): Promise<void> {
    const { bavail, bsize } = await statfs(this.folder);
    const handle = await open(this.ballast, "w");
    try {
      const piece = Buffer.alloc(bsize);
      for (let left = bavail * bsize - leaveBytes; left > 0; left -= bsize) await handle.write(piece);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
    } finally {
      await handle.close();
    }
  }

  async empty(): Promise<void> {
    await rm(this.ballast, { force: true });
  }

  async release(): Promise<void> {
    await run("umount", ["-l", this.folder]);
  }

  private get ballast(): string {
    return join(this.folder, "ballast");
  }
}
