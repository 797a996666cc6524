/** All that one schedule runs on: a folder, a run, and around it a broker, proxies, a disk, a network, an outsider. */
import { cp, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stringify } from "yaml";
import { Skein } from "../e2e/skein.js";
import { freePort, NatsServer } from "../nats-server.js";
import { Proxy } from "../transport/proxy.js";
import { Namespace, SmallDisk, type Borrowed } from "./machine.js";
import { Repeater } from "./repeater.js";
import type { Schedule, TransportKind, Wire } from "./schedule.js";
import { impatientCartPole, merged, type Settings } from "./settings.js";
import { Shuffler } from "./shuffler.js";
import { hookVariables } from "./stages.js";

export interface Placing {
  readonly schedule: Schedule;
  readonly transport: TransportKind;
  readonly seed: number;
}

const RUN_FILE = "run.yaml";

export class Site {
  broker: NatsServer | null = null;
  disk: SmallDisk | null = null;
  network: Namespace | null = null;
  /** The run, as a user started or resumed it last. */
  skein!: Skein;
  outsider: Skein | null = null;
  private readonly proxies = new Map<Wire, Proxy>();
  private readonly borrowed: Borrowed[] = [];
  private settings: Settings = {};

  private constructor(
    /** Where everything of it lies; every process of it has this path among its variables. */
    readonly place: string,
    readonly placing: Placing,
  ) {}

  static async prepare(placing: Placing): Promise<Site> {
    const site = new Site(await mkdtemp(join(tmpdir(), "skein-chaos-")), placing);
    try {
      await site.build();
      return site;
    } catch (error) {
      await site.close(false);
      throw error;
    }
  }

  /** Starts the run, or goes on with it. */
  start(resume: boolean): void {
    const args = ["train", RUN_FILE, "--json", ...(resume ? ["--resume"] : [])];
    const under = this.placing.schedule.needs.namespace === true ? this.network!.under : [];
    this.skein = new Skein(args, this.place, [...under, ...this.variables]);
  }

  /** The further actor; resolves once it collects. */
  async startOutsider(): Promise<void> {
    const { outsider } = this.placing.schedule.needs;
    if (outsider === undefined) return;
    let { address } = await this.skein.listening("coordinator");
    if (outsider === "proxy") address = (await this.proxyFor("control", address)).address;
    const under = outsider === "namespace" ? this.network!.under : [];
    const args = ["actor", "--coordinator", address, "--name", "outsider", "--json"];
    this.outsider = new Skein(args, this.place, [...under, ...this.variables]);
    await this.outsider.listening("actor");
  }

  proxy(wire: Wire): Proxy {
    const proxy = this.proxies.get(wire);
    if (proxy === undefined) throw new Error(`this schedule has no proxy on the ${wire} wire`);
    return proxy;
  }

  async runFolder(): Promise<string> {
    const [name] = await readdir(join(this.place, "runs"));
    if (name === undefined) throw new Error("the run has made no folder");
    return join(this.place, "runs", name);
  }

  async close(keepFiles: boolean): Promise<void> {
    if (keepFiles && this.disk !== null)
      await cp(this.disk.folder, join(this.place, "runs-kept"), { recursive: true });
    for (const thing of this.borrowed.reverse()) await thing.release().catch(() => undefined);
    if (!keepFiles) await rm(this.place, { recursive: true, force: true });
  }

  private get variables(): string[] {
    return ["env", ...hookVariables(this.place)];
  }

  private async build(): Promise<void> {
    const { schedule, transport, seed } = this.placing;
    const { needs } = schedule;
    if (needs.namespace === true) this.network = this.keep(await Namespace.alone());
    if (needs.outsider === "namespace") this.network = this.keep(await Namespace.joined());
    if (needs.diskBytes !== undefined)
      this.disk = this.keep(await SmallDisk.mount(join(this.place, "runs"), needs.diskBytes));
    const base = merged(await impatientCartPole(), { run: { seed }, transport: { kind: transport } });
    const wires = transport === "nats" ? await this.overBroker() : await this.direct();
    this.settings = merged(merged(base, wires), schedule.settings);
    await writeFile(join(this.place, RUN_FILE), stringify(this.settings));
  }

  private get host(): string {
    const { needs } = this.placing.schedule;
    return needs.outsider === "namespace" ? this.network!.nearAddress : "127.0.0.1";
  }

  /** The learner behind a proxy, the coordinator where an outsider reaches it. */
  private async direct(): Promise<Settings> {
    const { needs } = this.placing.schedule;
    const { host } = this;
    const coordinator = { address: `${host}:0` };
    if (needs.namespace === true || needs.outsider === "namespace")
      return { coordinator, learner: { address: `${host}:0` } };
    const address = `${host}:${await freePort()}`;
    const proxy = await this.proxyFor("data", address);
    let advertise = proxy.address;
    if (needs.shuffler === true) {
      const shuffler = this.keep(await Shuffler.open(proxy.address, this.placing.seed));
      advertise = shuffler.address;
    }
    return { coordinator, learner: { address, advertise } };
  }

  /** A broker of the schedule's own, behind a proxy; none in a network that only the run is in. */
  private async overBroker(): Promise<Settings> {
    const { needs } = this.placing.schedule;
    if (needs.namespace === true) return {};
    const broker = await NatsServer.start("", this.host);
    this.broker = broker;
    this.borrowed.push({ release: () => broker.stop() });
    if (needs.shuffler === true) this.keep(await Repeater.open(broker.url, this.placing.seed));
    if (needs.outsider === "namespace") return { transport: { nats: { url: broker.url } } };
    const { address } = await this.proxyFor("data", broker.url.replace("nats://", ""));
    return { transport: { nats: { url: `nats://${address}` } } };
  }

  private async proxyFor(wire: Wire, target: string): Promise<Proxy> {
    const proxy = await Proxy.to(target);
    this.borrowed.push({ release: () => proxy.close() });
    this.proxies.set(wire, proxy);
    return proxy;
  }

  private keep<T extends Borrowed>(thing: T): T {
    this.borrowed.push(thing);
    return thing;
  }
}
