// Tasks in JavaScript, which componentize-qjs makes a component with QuickJS in it.
//
// They do what an honest task does and no more: the bounds of an upload and of a
// run must have room for the engine beside it.

import context from "celeriac:task/context@0.1.0";
import log from "celeriac:task/log@0.1.0";
import progress from "celeriac:task/progress@0.1.0";

/** Adds two numbers. */
const add = (a, b) => a + b;

/** Counts how often each word occurs. */
function words(text) {
  const counted = {};
  for (const word of text.split(/\s+/).filter(Boolean)) {
    counted[word] = (counted[word] ?? 0) + 1;
  }
  log.emit("info", "counted", [["words", String(Object.keys(counted).length)]]);
  return counted;
}

/** Fails with an exception. */
function fails() {
  throw new TypeError("as it was told to");
}

/** Tells how far it is, and waits until it is asked to stop. */
function waits() {
  progress.update(1, 2, "waiting");
  const reason = context.wait(600000);
  if (reason != null) throw { tag: "interrupted", val: reason };
  return null;
}

const tasks = {
  add: { run: add, doc: "Adds two numbers.", params: ["a", "b"] },
  words: { run: words, doc: "Counts how often each word occurs.", params: ["text"] },
  fails: { run: fails, doc: "Fails with an exception.", params: [] },
  waits: { run: waits, doc: "Tells how far it is, and waits until it is asked to stop.", params: [] },
};

const param = (name) => ({
  name,
  kind: "positional-or-keyword",
  required: true,
  default: null,
  schema: null,
});

export const manifest = {
  describe: () =>
    Object.entries(tasks).map(([name, { doc, params }]) => ({
      name,
      doc,
      params: params.map(param),
      resultSchema: null,
      limits: { wallMs: null, softWallMs: null, cpuMs: null, memoryBytes: null, resultBytes: null },
      retry: null,
      atMostOnce: false,
      wants: [],
      extra: [],
    })),
};

// QuickJS alone has neither TextEncoder nor TextDecoder.
const text = (bytes) => decodeURIComponent(Array.from(bytes, (b) => "%" + b.toString(16).padStart(2, "0")).join(""));
const bytes = (text) =>
  new Uint8Array(Array.from(unescape(encodeURIComponent(text)), (c) => c.charCodeAt(0)));

export const handler = {
  run(call) {
    const named = JSON.parse(text(call.kwargs.data));
    const { run, params } = tasks[call.task];
    const args = JSON.parse(text(call.args.data));
    params.forEach((name, at) => (args[at] ??= named[name]));
    let result;
    try {
      result = run(...args);
    } catch (error) {
      if (error.tag === "interrupted") throw error;
      const failure = { kind: error.name, message: error.message, trace: null, retryable: null };
      throw { tag: "failure", val: failure };
    }
    return { contentType: "application/json", data: bytes(JSON.stringify(result)) };
  },
};
