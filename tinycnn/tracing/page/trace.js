// The trace as the page uses it: tensors decoded when they are first looked at, and the cells of each step.
import { Cells } from "./cells.js";
import { largest } from "./colours.js";
import { worked } from "./worked.js";

const KINDS = { float32: Float32Array, float64: Float64Array, int32: Int32Array, int64: BigInt64Array };

export function decode({ data, dtype }) {
  const text = atob(data),
    bytes = new Uint8Array(text.length);
  for (let k = 0; k < text.length; k++) bytes[k] = text.charCodeAt(k);
  return new KINDS[dtype](bytes.buffer);
}

export class Trace {
  constructor(json) {
    if (json.format !== "tinycnn.trace" || ![1, 2].includes(json.version))
      throw new Error("this is no trace that the page can read");
    this.json = json;
    this.steps = json.steps;
    this.arrays = new Map();
    this.walks = new Map();
    this.most = new Map();
  }

  // {shape, data} of a tensor, by its id.
  tensor(id) {
    if (!this.arrays.has(id)) {
      const one = this.json.tensors[id],
        size = one.shape.reduce((count, length) => count * length, 1);
      const data = one.made ? worked(one.made, size, (other) => this.tensor(other).data) : decode(one);
      this.arrays.set(id, { id, shape: one.shape, data, whole: one.dtype.startsWith("int") });
    }
    return this.arrays.get(id);
  }

  // Every name that a step's formula reads, with its value.
  values(step) {
    const entries = Object.entries(step.names ?? {});
    return Object.fromEntries(
      entries.map(([name, value]) => [name, typeof value === "string" ? this.tensor(value) : value]),
    );
  }

  // Whether all numbers of what a step's formula reads are there.
  whole(step) {
    return Object.values(step.names).every((id) => typeof id !== "string" || this.json.tensors[id].first === undefined);
  }

  cells(step) {
    if (!this.walks.has(step.number)) {
      if (this.walks.size > 20) this.walks.clear();
      this.walks.set(step.number, new Cells(step.program, this.values(step)));
    }
    return this.walks.get(step.number);
  }

  // The tensor that holds a step's result.
  result(step) {
    const written = step.writes.find((one) => one.symbol === step.result) ?? step.writes[0];
    return written && { ...written, ...this.tensor(written.tensor) };
  }

  // How far the colours reach: over one tensor, a layer, or the whole trace; gradients never share with the rest.
  scale(one, step, span) {
    const kind = (role) => (role === "gradient" ? "gradient" : "value");
    const key =
      span === "tensor" ? `t|${one.tensor}` : `${span === "layer" ? step.layer : ""}|${kind(one.role)}|${span}`;
    if (!this.most.has(key)) {
      const steps = span === "layer" ? this.steps.filter((other) => other.layer === step.layer) : this.steps;
      const alike =
        span === "tensor"
          ? [one]
          : steps
              .flatMap((other) => [...other.reads, ...other.writes])
              .filter((other) => kind(other.role) === kind(one.role));
      const ids = [...new Set(alike.map((other) => other.tensor).filter(Boolean))];
      this.most.set(
        key,
        ids.reduce((most, id) => Math.max(most, largest(this.tensor(id).data)), 0),
      );
    }
    return this.most.get(key);
  }
}
