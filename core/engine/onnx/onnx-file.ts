/**
 * A graph as an ONNX model file: ONNX intermediate representation 8, operator set 18, written with protobufjs from the
 * part of ONNX's schema that is needed here (onnx.proto, messages and field numbers as published).
 */
import protobuf from "protobufjs";
import {
  FLOAT_ATTRIBUTES,
  type Attribute,
  type Constant,
  type ElementType,
  type Graph,
  type Value,
} from "./graph.js";

const IR_VERSION = 8;
const OPSET_VERSION = 18;

const field = (type: string, id: number, rule?: "repeated"): protobuf.IField => ({
  type,
  id,
  ...(rule === undefined ? {} : { rule }),
});

const SCHEMA = protobuf.Root.fromJSON({
  nested: {
    ModelProto: {
      fields: {
        irVersion: field("int64", 1),
        producerName: field("string", 2),
        graph: field("GraphProto", 7),
        opsetImport: field("OperatorSetIdProto", 8, "repeated"),
      },
    },
    OperatorSetIdProto: { fields: { domain: field("string", 1), version: field("int64", 2) } },
    GraphProto: {
      fields: {
        node: field("NodeProto", 1, "repeated"),
        name: field("string", 2),
        initializer: field("TensorProto", 5, "repeated"),
        input: field("ValueInfoProto", 11, "repeated"),
        output: field("ValueInfoProto", 12, "repeated"),
      },
    },
    NodeProto: {
      fields: {
        input: field("string", 1, "repeated"),
        output: field("string", 2, "repeated"),
        name: field("string", 3),
        opType: field("string", 4),
        attribute: field("AttributeProto", 5, "repeated"),
      },
    },
    AttributeProto: {
      fields: {
        name: field("string", 1),
        f: field("float", 2),
        i: field("int64", 3),
        s: field("bytes", 4),
        ints: field("int64", 8, "repeated"),
        type: field("int32", 20),
      },
    },
    TensorProto: {
      fields: {
        dims: field("int64", 1, "repeated"),
        dataType: field("int32", 2),
        name: field("string", 8),
        rawData: field("bytes", 9),
      },
    },
    ValueInfoProto: { fields: { name: field("string", 1), type: field("TypeProto", 2) } },
    TypeProto: { fields: { tensorType: field("TensorTypeProto", 1) } },
    TensorTypeProto: { fields: { elemType: field("int32", 1), shape: field("TensorShapeProto", 2) } },
    TensorShapeProto: { fields: { dim: field("DimensionProto", 1, "repeated") } },
    DimensionProto: { fields: { dimValue: field("int64", 1) } },
  },
});
const MODEL = SCHEMA.lookupType("ModelProto");

/** TensorProto.DataType */
const DATA_TYPES: Readonly<Record<ElementType, number>> = { float32: 1, int32: 6, int64: 7, bool: 9 };
/** AttributeProto.AttributeType */
const ATTRIBUTE_TYPES = { float: 1, int: 2, string: 3, ints: 7 } as const;

function attributeProto(name: string, value: Attribute): object {
  if (typeof value === "string")
    return { name, type: ATTRIBUTE_TYPES.string, s: new TextEncoder().encode(value) };
  if (typeof value !== "number") return { name, type: ATTRIBUTE_TYPES.ints, ints: value };
  return FLOAT_ATTRIBUTES.has(name)
    ? { name, type: ATTRIBUTE_TYPES.float, f: value }
    : { name, type: ATTRIBUTE_TYPES.int, i: value };
}

function tensorProto({ value, data }: Constant): object {
  const rawData = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return { name: value.name, dims: value.shape, dataType: DATA_TYPES[value.dtype], rawData };
}

function valueInfoProto({ name, shape, dtype }: Value): object {
  const dim = shape.map((dimValue) => ({ dimValue }));
  return { name, type: { tensorType: { elemType: DATA_TYPES[dtype], shape: { dim } } } };
}

export function encodeOnnx(graph: Graph, name: string): Uint8Array {
  const message = MODEL.create({
    irVersion: IR_VERSION,
    producerName: "skein",
    opsetImport: [{ domain: "", version: OPSET_VERSION }],
    graph: {
      name,
      node: graph.nodes.map(({ op, inputs, outputs, attributes }) => ({
        name: outputs[0]!.name,
        opType: op,
        input: inputs.map((value) => value.name),
        output: outputs.map((value) => value.name),
        attribute: Object.entries(attributes).map(([key, value]) => attributeProto(key, value)),
      })),
      initializer: graph.constants.map(tensorProto),
      input: graph.inputs.map(valueInfoProto),
      output: graph.outputs.map(valueInfoProto),
    },
  });
  return MODEL.encode(message).finish();
}
