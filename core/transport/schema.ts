/** The .proto files, loaded once: how each message is encoded, and the path of each method. */
import { fileURLToPath } from "node:url";
import {
  loadSync,
  type AnyDefinition,
  type MessageTypeDefinition,
  type ServiceDefinition,
} from "@grpc/proto-loader";
import { SkeinError, messageOf } from "../errors.js";
import { inexactness, type Descriptor } from "./safe-integers.js";

/** Raised by one whenever an older Skein could misread what a newer one sends. */
export const PROTOCOL_VERSION = 1;

export const COORDINATOR_SERVICE = "skein.v1.Coordinator";
export const LEARNER_SERVICE = "skein.v1.Learner";
export const RELAY_SERVICE = "skein.v1.WeightsRelay";

/** Encodes and decodes one kind of message. `decode` throws MESSAGE_CORRUPT. */
export interface Codec<T> {
  encode(value: T): Uint8Array;
  decode(bytes: Uint8Array): T;
}

// From core/transport/ of the sources and of dist/ alike.
const protoRoot = fileURLToPath(new URL("../../proto", import.meta.url));

const definitions = loadSync(
  ["coordinator", "learner", "rollout", "weights"].map((name) => `skein/v1/${name}.proto`),
  { includeDirs: [protoRoot], longs: Number, enums: String, defaults: true },
);

function descriptorOf(name: string): Descriptor | null {
  const definition = definitions[`skein.v1.${name}`];
  return isMessage(definition) ? (definition.type as unknown as Descriptor) : null;
}

function isMessage(
  definition: AnyDefinition | undefined,
): definition is MessageTypeDefinition<object, object> {
  return (
    definition !== undefined && "serialize" in definition && typeof definition["serialize"] === "function"
  );
}

/**
 * The codec of `skein.v1.<name>`. W is its decoded shape: fields in camelCase, 64-bit numbers as numbers, enums by
 * name, bytes as Buffers, every field set to its default where absent, except `optional` ones.
 */
export function messageCodec<W extends object>(name: string): Codec<W> {
  const definition = definitions[`skein.v1.${name}`];
  if (!isMessage(definition)) throw new SkeinError("INTERNAL", `no message skein.v1.${name} in ${protoRoot}`);
  const inexact = inexactness(definition.type as unknown as Descriptor, descriptorOf);
  return {
    encode: (value) => definition.serialize(value),
    decode: (bytes) => {
      const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      const complaint = (got: string): SkeinError => corrupt(name, `a skein.v1.${name}`, got);
      let message: object;
      try {
        message = definition.deserialize(buffer);
      } catch (error) {
        throw complaint(`${bytes.byteLength} bytes that do not parse (${messageOf(error)})`);
      }
      const number = inexact?.(message) ?? null;
      if (number !== null) throw complaint(`a whole number beyond 2^53 (${number})`);
      return message as W;
    },
  };
}

/** `where: expected …, got …` as MESSAGE_CORRUPT. */
export function corrupt(where: string, expected: string, got: string): SkeinError {
  return new SkeinError("MESSAGE_CORRUPT", `${where}: expected ${expected}, got ${got}`);
}

/** The methods of a service: their names and HTTP/2 paths. */
export function methodsOf(
  service: string,
): { readonly name: string; readonly path: string; readonly streams: boolean }[] {
  const definition = definitions[service] as ServiceDefinition | undefined;
  if (definition === undefined) throw new SkeinError("INTERNAL", `no service ${service} in ${protoRoot}`);
  return Object.entries(definition).map(([name, method]) => ({
    name,
    path: method.path,
    streams: method.requestStream || method.responseStream,
  }));
}
