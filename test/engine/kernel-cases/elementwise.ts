import * as tf from "@tensorflow/tfjs-core";
import {
  differentiable,
  exactly,
  fixedTruth,
  integers,
  normal,
  plain,
  positive,
  truth,
  type KernelCase,
} from "./case.js";

export const unary: readonly KernelCase[] = [
  ...(
    [
      ["abs", tf.abs],
      ["cos", tf.cos],
      ["erf", tf.erf],
      ["exp", tf.exp],
      ["expm1", tf.expm1],
      ["neg", tf.neg],
      ["reciprocal", tf.reciprocal],
      ["relu", tf.relu],
      ["sigmoid", tf.sigmoid],
      ["sin", tf.sin],
      ["softplus", tf.softplus],
      ["square", tf.square],
      ["tanh", tf.tanh],
    ] as const
  ).map(([name, op]) => differentiable(name, (x: tf.Tensor) => op(x), normal(2, 3, 4))),
  differentiable("log", (x) => tf.log(x), positive(5)),
  differentiable("log1p", (x) => tf.log1p(x), positive(5)),
  differentiable("sqrt", (x) => tf.sqrt(x), positive(5)),
  differentiable("rsqrt", (x) => tf.rsqrt(x), positive(5)),
  differentiable("clone", (x) => tf.clone(x), normal(2, 2)),
  differentiable("clipByValue", (x) => tf.clipByValue(x, -0.5, 0.7), normal(3, 5)),
  plain("ceil", (x) => tf.ceil(x), normal(7)),
  plain("floor", (x) => tf.floor(x), normal(7)),
  plain("sign", (x) => tf.sign(x), exactly([-2, 0, 3, 1e-30])),
  plain("step", (x) => tf.step(x), normal(7)),
  plain("step with a slope", (x) => tf.step(x, 0.3), normal(7)),
  plain("onesLike and zerosLike", (x) => [tf.onesLike(x), tf.zerosLike(x)], normal(2, 3)),
  plain("onesLike and zerosLike of integers", (x) => [tf.onesLike(x), tf.zerosLike(x)], integers(2, 3)),
  plain("unary operations of integers", (x) => [tf.abs(x), tf.neg(x), tf.square(x), tf.sign(x)], integers(9)),
  plain("relu of integers", (x) => tf.relu(x), integers(9)),
  plain("clipByValue of integers", (x) => tf.clipByValue(x, -2, 3), integers(9)),
  plain("cast of floats to integers truncates", (x) => tf.cast(x, "int32"), exactly([-1.7, -0.2, 0.9, 2.5])),
  plain("cast of floats to truths", (x) => tf.cast(x, "bool"), exactly([-1, 0, 0.5])),
  plain("cast of integers", (x) => [tf.cast(x, "float32"), tf.cast(x, "bool")], integers(9)),
  plain("cast of truths", (x) => [tf.cast(truth(x), "int32"), tf.cast(truth(x), "float32")], normal(6)),
  plain("truths to integers to floats", (x) => tf.cast(tf.cast(truth(x), "int32"), "float32"), normal(6)),
  plain("logicalNot", (x) => tf.logicalNot(truth(x)), normal(6)),
];

const binaryOps = [
  ["add", tf.add],
  ["sub", tf.sub],
  ["mul", tf.mul],
  ["div", tf.div],
] as const;

/** TensorFlow.js has no gradient of these where they broadcast. */
const broadcastForward = [
  ["maximum", tf.maximum],
  ["minimum", tf.minimum],
  ["squaredDifference", tf.squaredDifference],
] as const;

const comparisons = [
  ["equal", tf.equal],
  ["notEqual", tf.notEqual],
  ["greater", tf.greater],
  ["greaterEqual", tf.greaterEqual],
  ["less", tf.less],
  ["lessEqual", tf.lessEqual],
] as const;

export const binary: readonly KernelCase[] = [
  ...binaryOps.flatMap(([name, op]) => [
    differentiable(`${name}, same shapes`, (a, b) => op(a, b), normal(3, 4), positive(3, 4)),
    differentiable(`${name}, a row`, (a, b) => op(a, b), normal(2, 3, 4), positive(4)),
    differentiable(`${name}, a column by a row`, (a, b) => op(a, b), normal(3, 1), positive(1, 4)),
    differentiable(`${name}, one number`, (a) => op(a, 2.5), normal(3, 4)),
    differentiable(`${name}, one number first`, (a) => op(2.5, a), positive(3, 4)),
    differentiable(`${name}, one`, (a) => [op(a, 1), op(1, a)], positive(3)),
    differentiable(`${name}, a filled tensor`, (a) => op(a, tf.fill([2, 3], 0.5)), positive(2, 1)),
  ]),
  ...broadcastForward.flatMap(([name, op]) => [
    differentiable(`${name}, same shapes`, (a, b) => op(a, b), normal(3, 4), positive(3, 4)),
    differentiable(`${name}, one number`, (a) => op(a, 0.5), normal(3, 4)),
    plain(`${name}, a row`, (a, b) => op(a, b), normal(2, 3, 4), positive(4)),
    plain(`${name}, a column by a row`, (a, b) => op(a, b), normal(3, 1), positive(1, 4)),
  ]),
  ...(["add", "sub", "mul", "maximum", "minimum", "squaredDifference"] as const).map((name) =>
    plain(`${name} of integers`, (a, b) => tf[name](a, b), integers(3, 4), integers(4)),
  ),
  differentiable("add, zero of either side", (a) => [tf.add(a, 0), tf.add(0, a), tf.sub(a, 0)], normal(4)),
  differentiable("add of zeros of a larger shape", (a) => tf.add(a, tf.zeros([3, 4])), normal(4)),
  differentiable("mul of ones of a larger shape", (a) => tf.mul(tf.ones([3, 4]), a), normal(4)),
  differentiable("div by ones of a larger shape", (a) => tf.div(a, tf.ones([3, 4])), normal(4)),
  differentiable("mul by a truth", (a) => tf.mul(a, tf.cast(fixedTruth(), "float32")), normal(2, 4)),
  plain(
    "mul of two truths",
    (a, b) => tf.mul(tf.cast(truth(a), "float32"), tf.cast(truth(b), "float32")),
    normal(6),
    normal(6),
  ),
  differentiable("pow", (a, b) => tf.pow(a, b), positive(3, 4), normal(4)),
  differentiable("pow by a number", (a) => tf.pow(a, 3), normal(5)),
  plain("pow of integers", (a) => tf.pow(a, tf.scalar(2, "int32")), integers(5)),
  differentiable("addN", (a, b, c) => tf.addN([a, b, c]), normal(3), normal(3), normal(3)),
  ...comparisons.flatMap(([name, op]) => [
    plain(`${name}, a row`, (a, b) => op(a, b), integers(3, 4), integers(4)),
    plain(`${name} of floats`, (a, b) => op(a, b), exactly([1, 2, 3]), exactly([1, 2.5, -3])),
  ]),
  plain("logicalAnd", (a, b) => tf.logicalAnd(truth(a), truth(b)), normal(2, 5), normal(5)),
  plain("logicalOr", (a, b) => tf.logicalOr(truth(a), truth(b)), normal(2, 5), normal(5)),
  differentiable(
    "where",
    (a, b) => tf.where(tf.reshape(fixedTruth(), [2, 2]), a, b),
    normal(2, 2),
    normal(2, 2),
  ),
  differentiable("where, all broadcast", (a, b) => tf.where(fixedTruth(), a, b), normal(2, 1), normal(1, 4)),
  plain("where of integers", (c, a, b) => tf.where(truth(c), a, b), normal(4), integers(4), integers(4)),
];
