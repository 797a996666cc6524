/** A task that says it is ready and, at the first message, ends its thread in the way it was told to. */
export default function dying({ port, way }) {
  return new Promise((resolve) => {
    port.on("message", () => {
      if (way === "exits") process.exit(3);
      if (way === "throws") throw new Error("out of paper");
      port.close();
      resolve();
    });
    port.postMessage({ kind: "ready" });
  });
}
