/** 64-bit numbers of messages are numbers here: what a number does not hold exactly is refused where it arrives. */

/** As much of a message's descriptor as is looked at. */
export interface Descriptor {
  readonly field: readonly { readonly name: string; readonly type: string; readonly typeName: string }[];
  /** The entries of maps, each named after its map. */
  readonly nestedType: readonly (Descriptor & { readonly name: string })[];
}

/** `field: value` of the first number that is not exact; null = all are. */
export type Complaint = (message: unknown) => string | null;

const WIDE: ReadonlySet<string> = new Set(["TYPE_INT64", "TYPE_UINT64"]);

function numberComplaint(value: unknown): string | null {
  return Number.isSafeInteger(value) ? null : String(value);
}

/** Null where the message has no such numbers, within it or in its parts. */
export function inexactness(type: Descriptor, find: (name: string) => Descriptor | null): Complaint | null {
  const checks: { readonly name: string; readonly map: boolean; readonly check: Complaint }[] = [];
  for (const { name, type: kind, typeName } of type.field) {
    const entry = type.nestedType.find((nested) => nested.name === typeName);
    const check = checkOf(kind, entry ?? find(typeName), find);
    // A map arrives as an object of its values, not as a list of its entries.
    const inside: Complaint | null = entry === undefined ? check : (value) => check?.({ value }) ?? null;
    if (check !== null && inside !== null) checks.push({ name, map: entry !== undefined, check: inside });
  }
  if (checks.length === 0) return null;
  return (message) => {
    for (const { name, map, check } of checks) {
      const value = (message as Record<string, unknown>)[name];
      for (const part of map ? Object.values(value ?? {}) : [value].flat()) {
        const complaint = part === null || part === undefined ? null : check(part);
        if (complaint !== null) return `${name}: ${complaint}`;
      }
    }
    return null;
  };
}

function checkOf(
  kind: string,
  part: Descriptor | null,
  find: (name: string) => Descriptor | null,
): Complaint | null {
  if (WIDE.has(kind)) return numberComplaint;
  return part === null ? null : inexactness(part, find);
}
