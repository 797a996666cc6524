/** Who this process is and what it lets others prove: certificates and the run's token, read from files once. */
import { createPrivateKey, X509Certificate, type KeyObject } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { RunConfig } from "../config/schema.js";
import { SkeinError, messageOf } from "../errors.js";

/** Where the secrets are. */
export interface CredentialFiles {
  readonly tls: { readonly cert: string; readonly key: string; readonly ca: string } | null;
  readonly tokenFile: string | null;
}

/** PEM texts that belong together. */
export interface TlsIdentity {
  /** This service's certificate, then the intermediate ones, if any. */
  readonly cert: string;
  readonly key: string;
  /** The authorities that sign the others' certificates. */
  readonly ca: string;
}

export interface Credentials {
  /** null = nothing is encrypted. */
  readonly tls: TlsIdentity | null;
  /** The bearer token that every call carries and every server demands; null = none. */
  readonly token: string | null;
}

/** Credentials, and what a run demands with them. */
export interface Security {
  readonly credentials: Credentials;
  /** Servers demand a certificate of clients too. */
  readonly mutual: boolean;
  /** Calls that one connection may make, on average over a second. */
  readonly maxCallsPerSecond: number;
}

/** No certificates, no token. */
export const NO_CREDENTIALS: Credentials = { tls: null, token: null };

/** Nothing is encrypted, demanded or limited. */
export const OPEN: Security = {
  credentials: NO_CREDENTIALS,
  mutual: false,
  maxCallsPerSecond: Number.MAX_SAFE_INTEGER,
};

/** What a run file demands, of services that hold `credentials`. */
export function securityOf(config: RunConfig["security"], credentials: Credentials): Security {
  return {
    credentials,
    mutual: config.tls?.mutual ?? false,
    maxCallsPerSecond: config.maxCallsPerSecond,
  };
}

/**
 * Reads and checks the files. Throws CONFIG_INVALID where one is missing, unreadable or not what it should be, where
 * the certificate has expired or is not valid yet, and where key, certificate and authorities do not belong together.
 */
export async function readCredentials({ tls, tokenFile }: CredentialFiles): Promise<Credentials> {
  return {
    tls: tls === null ? null : await readIdentity(tls),
    token: tokenFile === null ? null : await readToken(tokenFile),
  };
}

async function readToken(path: string): Promise<string> {
  const token = (await readText("security.tokenFile", path)).trim();
  if (/^[\x21-\x7e]{16,4096}$/.test(token)) return token;
  const advice = "make one with: openssl rand -hex 32";
  throw invalid(`security.tokenFile: ${path}: expected one word of 16 to 4096 visible characters; ${advice}`);
}

async function readIdentity(files: NonNullable<CredentialFiles["tls"]>): Promise<TlsIdentity> {
  const cert = await readText("security.tls.cert", files.cert);
  const key = await readText("security.tls.key", files.key);
  const ca = await readText("security.tls.ca", files.ca);
  const [leaf, ...chain] = certificatesOf("security.tls.cert", files.cert, cert);
  const authorities = certificatesOf("security.tls.ca", files.ca, ca);
  expectCurrent("security.tls.cert", files.cert, leaf!);
  if (!leaf!.checkPrivateKey(keyOf(files.key, key))) {
    throw invalid(`security.tls.key: ${files.key} is not the key of the certificate ${files.cert}`);
  }
  expectSigned(leaf!, chain, authorities, files);
  return { cert, key, ca };
}

async function readText(field: string, path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    throw invalid(`${field}: cannot read ${path}: ${messageOf(error)}`, error);
  }
}

function certificatesOf(field: string, path: string, text: string): X509Certificate[] {
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  if (blocks.length === 0) throw invalid(`${field}: ${path}: expected a certificate in PEM, found none`);
  try {
    return blocks.map((block) => new X509Certificate(block));
  } catch (error) {
    throw invalid(`${field}: ${path}: not a certificate in PEM: ${messageOf(error)}`, error);
  }
}

function keyOf(path: string, text: string): KeyObject {
  try {
    return createPrivateKey(text);
  } catch (error) {
    const advice = "expected one in PEM, without a pass phrase";
    throw invalid(`security.tls.key: ${path}: not a private key: ${advice} (${messageOf(error)})`, error);
  }
}

function expectCurrent(field: string, path: string, certificate: X509Certificate): void {
  const { validFrom, validTo } = certificate;
  const now = Date.now();
  if (now > Date.parse(validTo)) throw invalid(`${field}: ${path} expired on ${validTo}; renew it`);
  if (now < Date.parse(validFrom)) {
    throw invalid(`${field}: ${path} is not valid before ${validFrom}; check this machine's clock`);
  }
}

/** Follows the signatures from `leaf` over its chain to an authority. */
function expectSigned(
  leaf: X509Certificate,
  chain: readonly X509Certificate[],
  authorities: readonly X509Certificate[],
  files: NonNullable<CredentialFiles["tls"]>,
): void {
  const signs = (signer: X509Certificate, signed: X509Certificate): boolean =>
    signed.checkIssued(signer) && signed.verify(signer.publicKey);
  let link: X509Certificate | undefined = leaf;
  for (let depth = 0; link !== undefined && depth <= chain.length; depth++) {
    const signed: X509Certificate = link;
    const authority = authorities.find((candidate) => signs(candidate, signed));
    if (authority !== undefined) return expectCurrent("security.tls.ca", files.ca, authority);
    link = chain.find((candidate) => signs(candidate, signed));
  }
  throw invalid(
    `security.tls.ca: ${files.ca} holds no authority that signed the certificate ${files.cert} ` +
      `(issued by ${leaf.issuer.replaceAll("\n", ", ")})`,
  );
}

function invalid(message: string, cause?: unknown): SkeinError {
  return new SkeinError("CONFIG_INVALID", message, cause === undefined ? {} : { cause });
}
