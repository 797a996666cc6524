/** A TCP proxy between a client and a server, to cut, freeze and garble connections as networks do. */
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { Transform } from "node:stream";

export class Proxy {
  private readonly sockets = new Set<Socket>();
  /** Connections accepted so far. */
  accepted = 0;
  /** Pieces of data passed on so far. */
  chunks = 0;
  /** What becomes of a piece of data. */
  alter: (chunk: Buffer) => Buffer = (chunk) => chunk;

  private constructor(private readonly server: Server) {}

  static async to(target: string): Promise<Proxy> {
    const port = Number(target.split(":").at(-1));
    const server = createServer();
    const proxy = new Proxy(server);
    server.on("connection", (near) => {
      proxy.accepted += 1;
      const far = connect(port, "127.0.0.1");
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

  /** Lets nothing more through on the present connections, which stay open. */
  freeze(): void {
    for (const socket of this.sockets) {
      socket.unpipe();
      socket.pause();
    }
  }

  async close(): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.server.close(resolve));
  }

  private join(from: Socket, to: Socket): void {
    this.sockets.add(from);
    const passing = new Transform({
      transform: (chunk: Buffer, _, done) => {
        this.chunks += 1;
        done(null, this.alter(chunk));
      },
    });
    from.pipe(passing).pipe(to);
    from.on("error", () => to.destroy());
    from.on("close", () => {
      this.sockets.delete(from);
      to.destroy();
    });
  }
}
