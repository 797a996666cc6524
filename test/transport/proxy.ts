/** A TCP proxy between a client and a server, to cut, freeze, hold, slow down and falsify connections as networks do. */
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { Transform } from "node:stream";
import { setTimeout as pause } from "node:timers/promises";

/** Pieces shorter than this are calls and answers, which carry no checksum of their own; they are left alone. */
const LONG_PIECE = 8192;

export class Proxy {
  private readonly sockets = new Set<Socket>();
  /** The server's side of each connection. */
  private readonly answering = new Set<Socket>();
  private released: Promise<void> = Promise.resolve();
  private letGo: (() => void) | null = null;
  private rate = Number.POSITIVE_INFINITY;
  private toFlip = 0;
  /** Connections accepted so far. */
  accepted = 0;
  /** Pieces of data passed on so far. */
  chunks = 0;
  /** Long pieces falsified so far. */
  flipped = 0;

  private constructor(private readonly server: Server) {}

  static async to(target: string): Promise<Proxy> {
    const [host, port] = [target.slice(0, target.lastIndexOf(":")), Number(target.split(":").at(-1))];
    const server = createServer();
    const proxy = new Proxy(server);
    server.on("connection", (near) => {
      proxy.accepted += 1;
      const far = connect(port, host);
      proxy.answering.add(far);
      far.once("close", () => proxy.answering.delete(far));
      proxy.join(near, far);
      proxy.join(far, near);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return proxy;
  }

  get address(): string {
    return `127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  /** Resets every connection, without a goodbye. */
  cut(): void {
    for (const socket of this.sockets) socket.resetAndDestroy();
  }

  /** Lets nothing more through on the present connections, which stay open; or nothing of what the server says. */
  freeze(what: "everything" | "answers" = "everything"): void {
    for (const socket of what === "answers" ? this.answering : this.sockets) {
      socket.unpipe();
      socket.pause();
    }
  }

  /** Lets nothing through, on new connections neither, until `release`: a network that loses everything. */
  hold(): void {
    if (this.letGo !== null) return;
    this.released = new Promise((resolve) => (this.letGo = resolve));
  }

  /** What was held goes on its way. */
  release(): void {
    this.letGo?.();
    this.letGo = null;
  }

  /** Bytes a second of each connection and direction; infinity = as fast as they come. */
  limit(bytesPerSecond: number): void {
    this.rate = bytesPerSecond;
  }

  /** One bit of each of the next `pieces` long pieces of data will be wrong. */
  flip(pieces: number): void {
    this.toFlip = pieces;
  }

  async close(): Promise<void> {
    this.release();
    this.cut();
    await new Promise((resolve) => this.server.close(resolve));
  }

  private join(from: Socket, to: Socket): void {
    this.sockets.add(from);
    const way = new Transform({
      transform: (piece: Buffer, _encoding, done) => {
        void this.pass(piece).then(() => done(null, piece), done);
      },
    });
    from.pipe(way).pipe(to);
    from.on("data", () => (this.chunks += 1));
    from.on("error", () => to.destroy());
    way.on("error", () => to.destroy());
    from.on("close", () => {
      this.sockets.delete(from);
      way.destroy();
      to.destroy();
    });
  }

  private async pass(piece: Buffer): Promise<void> {
    await this.released;
    if (Number.isFinite(this.rate)) await pause((1000 * piece.length) / this.rate);
    if (this.toFlip === 0 || piece.length < LONG_PIECE) return;
    this.toFlip -= 1;
    this.flipped += 1;
    const middle = piece.length >> 1;
    piece[middle]! ^= 1;
  }
}
