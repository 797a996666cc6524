/** X.509 certificates for tests, written here as DER (RFC 5280), so that no tool has to be installed. */
import {
  createPublicKey,
  generateKeyPairSync,
  randomBytes,
  sign,
  X509Certificate,
  type KeyObject,
} from "node:crypto";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

function der(tag: number, ...content: Uint8Array[]): Buffer {
  const body = Buffer.concat(content);
  const long: number[] = [];
  for (let rest = body.length; rest > 0; rest = Math.floor(rest / 256)) long.unshift(rest % 256);
  const length = body.length < 128 ? [body.length] : [128 + long.length, ...long];
  return Buffer.concat([Buffer.of(tag, ...length), body]);
}

const sequence = (...items: Uint8Array[]): Buffer => der(0x30, ...items);
/** Of 0 … 127: DER knows no leading zeros. */
const integer = (value: number): Buffer => der(0x02, Buffer.of(value));
const bits = (content: Uint8Array): Buffer => der(0x03, Buffer.of(0), content);
const text = (value: string): Buffer => der(0x0c, Buffer.from(value));
const time = (date: Date): Buffer =>
  der(0x17, Buffer.from(`${date.toISOString().replaceAll(/[-:T]/g, "").slice(2, 14)}Z`));

function oid(dotted: string): Buffer {
  const [first, second, ...rest] = dotted.split(".").map(Number) as [number, number, ...number[]];
  const arcs = rest.flatMap((arc) => {
    const groups = [arc & 127];
    for (let left = arc >> 7; left > 0; left >>= 7) groups.unshift(128 | (left & 127));
    return groups;
  });
  return der(0x06, Buffer.of(40 * first + second, ...arcs));
}

const ECDSA_SHA256 = sequence(oid("1.2.840.10045.4.3.2"));
const name = (common: string): Buffer => sequence(der(0x31, sequence(oid("2.5.4.3"), text(common))));
const extension = (id: string, value: Uint8Array): Buffer => sequence(oid(id), der(0x04, value));

/** A certificate and its key, as objects and as PEM. */
export interface Issued {
  readonly cert: string;
  readonly key: string;
}

export interface Authority extends Issued {
  readonly name: string;
}

interface Wanted {
  readonly subject: string;
  readonly issuer: Authority | null;
  readonly hosts: readonly string[];
  readonly authority: boolean;
  /** Days from now. */
  readonly from: number;
  readonly to: number;
}

function make({ subject, issuer, hosts, authority, from, to }: Wanted): Issued {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const day = (offset: number): Date => new Date(Date.now() + offset * 86_400_000);
  const names = hosts.map((host) =>
    /^[\d.]+$/.test(host)
      ? der(0x87, Buffer.from(host.split(".").map(Number)))
      : der(0x82, Buffer.from(host)),
  );
  const extensions = [
    extension("2.5.29.19", authority ? sequence(der(0x01, Buffer.of(255))) : sequence()),
    ...(names.length === 0 ? [] : [extension("2.5.29.17", sequence(...names))]),
  ];
  const body = sequence(
    der(0xa0, integer(2)),
    // A first byte from 1 to 127, so that the number is positive and without leading zeros.
    der(0x02, Buffer.of(1), randomBytes(8)),
    ECDSA_SHA256,
    name(issuer?.name ?? subject),
    sequence(time(day(from)), time(day(to))),
    name(subject),
    publicKey.export({ type: "spki", format: "der" }),
    der(0xa3, sequence(...extensions)),
  );
  const signer: KeyObject | string = issuer?.key ?? privateKey;
  const encoded = sequence(body, ECDSA_SHA256, bits(sign("sha256", body, signer)));
  return {
    cert: new X509Certificate(encoded).toString(),
    key: privateKey.export({ type: "pkcs8", format: "pem" }) as string,
  };
}

/** A self-signed authority. */
export function authority(subject: string): Authority {
  return { name: subject, ...make({ subject, issuer: null, hosts: [], authority: true, from: -1, to: 30 }) };
}

/** A certificate for `hosts`, signed by `issuer`; days of validity from now. */
export function issue(issuer: Authority, hosts: readonly string[], from = -1, to = 30): Issued {
  return make({ subject: hosts[0] ?? "nobody", issuer, hosts, authority: false, from, to });
}

/** An authority of its own name, signed by `issuer`. */
export function intermediate(issuer: Authority, subject: string): Authority {
  return { name: subject, ...make({ subject, issuer, hosts: [], authority: true, from: -1, to: 30 }) };
}

/** Writes the texts to files of a new folder; returns their paths by the same names. */
export function files<K extends string>(texts: Readonly<Record<K, string>>): Record<K, string> {
  const folder = mkdtempSync(join(tmpdir(), "skein-security-"));
  const paths = {} as Record<K, string>;
  for (const [key, content] of Object.entries<string>(texts)) {
    paths[key as K] = join(folder, `${key}.pem`);
    writeFileSync(paths[key as K], content);
  }
  return paths;
}

/** Whether the key of the certificate is the one that `key` makes. */
export function belongTogether({ cert, key }: Issued): boolean {
  const ofCertificate = new X509Certificate(cert).publicKey.export({ type: "spki", format: "pem" });
  return ofCertificate === createPublicKey(key).export({ type: "spki", format: "pem" });
}
