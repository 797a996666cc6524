/**
 * Who may call, on every method of a server, the health service too: an interceptor that looks at the metadata before
 * any handler does. A call whose first message does not come in time is ended: nobody holds one open for nothing.
 */
import type { Http2Session, ServerHttp2Stream } from "node:http2";
import {
  Metadata,
  ServerInterceptingCall,
  status,
  type ServerInterceptor,
  type ServerInterceptingCallInterface,
  type ServerListener,
} from "@grpc/grpc-js";
import { SkeinError } from "../../errors.js";
import { CallRate } from "../../security/call-rate.js";
import { TOKEN_HEADER, tokenCheck } from "../../security/token.js";
import { WINDOW_BYTES, type GrpcSide } from "./channel.js";
import { statusOf, type FailureStatus } from "./status.js";

export function guard({ security, protocolVersion, deadlineSeconds }: GrpcSide): ServerInterceptor {
  const { credentials, maxCallsPerSecond } = security;
  const shows = tokenCheck(credentials.token);
  const rate = new CallRate(maxCallsPerSecond);
  const complaint = (peer: string, metadata: Metadata): FailureStatus | null => {
    if (!rate.allows(peer)) return tooMany(maxCallsPerSecond);
    const header = metadata.get(TOKEN_HEADER)[0]?.toString();
    return shows(header) ? null : statusOf(tokenRefused(header), protocolVersion);
  };
  return (method, call) => {
    widenWindows(call);
    let waiting: NodeJS.Timeout | undefined;
    return new ServerInterceptingCall(call, {
      start: (next) => {
        waiting = setTimeout(() => {
          const message = `${method.path}: no message within ${deadlineSeconds} s`;
          call.sendStatus(statusOf(new SkeinError("UNAVAILABLE", message), protocolVersion));
        }, 1000 * deadlineSeconds);
        const listener: ServerListener = {
          onReceiveMetadata: (metadata, pass) => {
            const refusal = complaint(call.getPeer(), metadata);
            if (refusal === null) return pass(metadata);
            clearTimeout(waiting);
            call.sendStatus(refusal);
          },
          onReceiveMessage: (message, pass) => {
            clearTimeout(waiting);
            pass(message);
          },
          onReceiveHalfClose: (pass) => {
            clearTimeout(waiting);
            pass();
          },
          onCancel: () => clearTimeout(waiting),
        };
        // grpc-js ends a call with a malformed timeout on the next tick; one that a handler has begun to answer by then
        // would stay half open.
        process.nextTick(next, listener);
      },
    });
  };
}

const widened = new WeakSet<Http2Session>();

/**
 * Lets a client send more before it hears that this side has taken it in: HTTP/2's 64 KiB cost a turn of both processes
 * for every 32. grpc-js has a setting for it on clients alone, so the session is reached for; without it, all works.
 */
function widenWindows(call: ServerInterceptingCallInterface): void {
  const session = (call as { readonly stream?: ServerHttp2Stream }).stream?.session;
  if (session === undefined || session.destroyed || widened.has(session)) return;
  widened.add(session);
  session.setLocalWindowSize(WINDOW_BYTES);
  session.settings({ initialWindowSize: WINDOW_BYTES });
}

function tokenRefused(header: string | undefined): SkeinError {
  const what = header === undefined ? "this call has no token" : "the token of this call is not the run's";
  const advice = "give the run's token file (--token-file, or security.tokenFile)";
  return new SkeinError("UNAUTHORIZED", `${what}: ${advice}`);
}

/** Without an error code, so that clients wait a little and try again. */
function tooMany(perSecond: number): FailureStatus {
  const details = `over ${perSecond} calls a second on this connection (security.maxCallsPerSecond)`;
  return { code: status.RESOURCE_EXHAUSTED, details, metadata: new Metadata() };
}
