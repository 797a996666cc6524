/** The bearer token as it travels, and its check. */
import { createHash, timingSafeEqual } from "node:crypto";

/** Header of HTTP and metadata key of gRPC. */
export const TOKEN_HEADER = "authorization";

export function bearer(token: string): string {
  return `Bearer ${token}`;
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}

/**
 * Whether a caller's header shows `token`; null = none is demanded. The time it takes says nothing about the token:
 * digests of equal length are compared, all of them.
 */
export function tokenCheck(token: string | null): (header: string | undefined) => boolean {
  if (token === null) return () => true;
  const expected = digest(bearer(token));
  return (header) => timingSafeEqual(digest(header ?? ""), expected);
}
