/** Errors as gRPC statuses and back. */
import { Metadata, status, type StatusObject } from "@grpc/grpc-js";
import { SkeinError, type ErrorCode } from "../../errors.js";
import { codeOr } from "../error-codes.js";
import { protocolMismatch } from "../frames.js";
import { LinkBroken } from "../wire.js";
import { ERROR_CODE_KEY, PROTOCOL_KEY, protocolMetadata } from "./channel.js";

/** HTTP/2 headers carry the message; a header block that is too long breaks the connection. */
const LONGEST_DETAILS = 2000;

export type FailureStatus = Omit<StatusObject, "metadata"> & { readonly metadata: Metadata };

/** Statuses for readers of gRPC metrics; Skein itself goes by the error code in the metadata. */
function statusFor(code: ErrorCode): status {
  switch (code) {
    case "UNAVAILABLE":
      return status.UNAVAILABLE;
    case "UNAUTHORIZED":
      return status.UNAUTHENTICATED;
    case "PROTOCOL_MISMATCH":
    case "REFUSED":
      return status.FAILED_PRECONDITION;
    case "MESSAGE_CORRUPT":
      return status.DATA_LOSS;
    case "CONFIG_INVALID":
    case "SHAPE":
      return status.INVALID_ARGUMENT;
    default:
      return status.INTERNAL;
  }
}

export function statusOf(error: SkeinError, protocolVersion: number): FailureStatus {
  const metadata = protocolMetadata(protocolVersion);
  metadata.set(ERROR_CODE_KEY, error.code);
  // Through a Buffer: grpc-js throws on text with half a surrogate pair, which a cut could leave behind.
  const details = Buffer.from(error.message.slice(0, LONGEST_DETAILS)).toString();
  return { code: statusFor(error.code), details, metadata };
}

/** The status of a server that goes away: without an error code, so that clients try again. */
export function closingStatus(): FailureStatus {
  return { code: status.UNAVAILABLE, details: "the server is closing", metadata: new Metadata() };
}

/**
 * What a status other than OK means to a client of this side: LinkBroken where the connection failed, else a
 * SkeinError with the code and message that the handler threw.
 */
export function failureOf(
  { code, details, metadata }: StatusObject,
  where: { readonly address: string; readonly method: string; readonly protocolVersion: number },
): LinkBroken | SkeinError {
  const errorCode = metadata.get(ERROR_CODE_KEY)[0];
  if (typeof errorCode === "string") {
    const other = metadata.get(PROTOCOL_KEY)[0];
    if (
      errorCode === "PROTOCOL_MISMATCH" &&
      other !== undefined &&
      String(other) !== String(where.protocolVersion)
    ) {
      return protocolMismatch(String(other), where.protocolVersion);
    }
    return new SkeinError(codeOr(errorCode, "INTERNAL"), details);
  }
  const call = `${where.method} at ${where.address}`;
  if (code === status.UNIMPLEMENTED) {
    const advice = "is this the address of the right Skein service?";
    return new SkeinError("REFUSED", `${call}: the server there does not know this call: ${advice}`);
  }
  if (code === status.RESOURCE_EXHAUSTED && details.includes("larger than max")) {
    return new SkeinError(
      "REFUSED",
      `${call}: ${details}: raise the transport's maxMessageBytes on both sides`,
    );
  }
  const broken: readonly status[] = [
    status.UNAVAILABLE,
    status.CANCELLED,
    status.INTERNAL,
    status.UNKNOWN,
    status.RESOURCE_EXHAUSTED,
  ];
  if (broken.includes(code)) return new LinkBroken(details);
  return new SkeinError("REFUSED", `${call}: ${status[code]}: ${details}`);
}
