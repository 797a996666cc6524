/**
 * Why a server cannot be talked to, where the reason is TLS: found by one handshake of its own, because what a library
 * says of a broken connection differs from version to version.
 */
import { connect as connectPlain, isIP } from "node:net";
import { checkServerIdentity, connect, type TLSSocket } from "node:tls";
import { SkeinError } from "../errors.js";
import type { Credentials } from "./credentials.js";

export interface Endpoint {
  readonly host: string;
  readonly port: number;
}

/** What one handshake found. */
type Finding =
  | { readonly is: "nobody" }
  | { readonly is: "plain" }
  | { readonly is: "refusing"; readonly detail: string }
  | { readonly is: "unproven"; readonly detail: string }
  | { readonly is: "encrypted" };

/**
 * UNAUTHORIZED with the reason where both sides do not encrypt alike or do not accept one another's certificate; null
 * where that is not what is wrong, or nothing was found within `milliseconds`.
 */
export async function diagnose(
  endpoint: Endpoint,
  { tls }: Credentials,
  milliseconds: number,
): Promise<SkeinError | null> {
  const finding = await shakeHands(endpoint, tls, milliseconds);
  const where = `${endpoint.host}:${endpoint.port}`;
  if (tls === null) {
    if (finding.is === "nobody" || finding.is === "plain") return null;
    const advice = "give this side its certificates (--tls-cert, --tls-key, --tls-ca, or security.tls)";
    return unauthorized(`${where} encrypts its connections and this side does not: ${advice}`);
  }
  switch (finding.is) {
    case "plain": {
      const advice = "start it with security.tls, or this side without certificates";
      return unauthorized(`${where} does not encrypt its connections and this side does: ${advice}`);
    }
    case "unproven": {
      const advice = "it must name that host and be signed by an authority of this side's security.tls.ca";
      return unauthorized(`the certificate of ${where} is not accepted (${finding.detail}): ${advice}`);
    }
    case "refusing": {
      const advice = "it demands one that an authority of its own security.tls.ca has signed";
      return unauthorized(`${where} does not accept this side's certificate (${finding.detail}): ${advice}`);
    }
    default:
      return null;
  }
}

function unauthorized(message: string): SkeinError {
  return new SkeinError("UNAUTHORIZED", message);
}

function shakeHands(
  { host, port }: Endpoint,
  tls: Credentials["tls"],
  milliseconds: number,
): Promise<Finding> {
  return new Promise((resolve) => {
    const raw = connectPlain({ host, port });
    let socket: TLSSocket | null = null;
    const settle = (finding: Finding): void => {
      clearTimeout(timer);
      socket?.destroy();
      raw.destroy();
      resolve(finding);
    };
    const timer = setTimeout(() => settle({ is: "nobody" }), milliseconds);
    raw.on("error", () => settle({ is: "nobody" }));
    raw.once("connect", () => {
      raw.removeAllListeners("error");
      const name = isIP(host) === 0 ? { servername: host } : {};
      // Verified below, so that a bad certificate can be told from a server that does not encrypt.
      const lenient = { rejectUnauthorized: false, checkServerIdentity: () => undefined };
      socket = connect({ socket: raw, ...tls, ...name, ...lenient, ALPNProtocols: ["h2"] });
      examine(socket, host, settle);
    });
  });
}

function examine(socket: TLSSocket, host: string, settle: (finding: Finding) => void): void {
  let encrypted = false;
  socket.once("secureConnect", () => {
    encrypted = true;
    const misnamed = checkServerIdentity(host, socket.getPeerCertificate());
    if (!socket.authorized) settle({ is: "unproven", detail: String(socket.authorizationError) });
    else if (misnamed !== undefined) settle({ is: "unproven", detail: misnamed.message });
  });
  // A server that accepts the certificate shown to it speaks first: HTTP/2 begins with its settings.
  socket.once("data", () => settle({ is: "encrypted" }));
  socket.once("error", (error: NodeJS.ErrnoException & { readonly reason?: string }) => {
    const detail = error.reason ?? error.message;
    if (encrypted || /alert/i.test(`${error.code} ${detail}`)) settle({ is: "refusing", detail });
    else settle(error.code === "ECONNRESET" ? { is: "nobody" } : { is: "plain" });
  });
  socket.once("close", () => settle(encrypted ? { is: "refusing", detail: "closed" } : { is: "nobody" }));
}
