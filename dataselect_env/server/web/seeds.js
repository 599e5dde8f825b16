// Choice of a seed: each split is a range of seeds; any other seed belongs to no split.

import { readSeed } from "./link.js";

export class SeedChoice {
  constructor(reference, prefix) {
    this.reference = reference;
    this.split = document.getElementById(`${prefix}split`);
    this.input = document.getElementById(`${prefix}seed`);
    this.split.addEventListener("change", () => this.draw());
    this.input.addEventListener("change", () => this.follow());
  }

  /** Draw a random seed of the chosen split. */
  draw() {
    const { splits } = this.reference;
    const { first_seed: first, seeds } = splits[this.split.value] ?? Object.values(splits)[0];
    this.input.value = first + Math.floor(Math.random() * seeds);
  }

  /** Return the seed. Throws an Error that says what is allowed. */
  read() {
    this.follow();
    return readSeed(this.input.value, this.reference);
  }

  set(seed) {
    this.input.value = seed;
    this.follow();
  }

  /** Select the split that the seed belongs to, if any. */
  follow() {
    const seed = Number(this.input.value);
    const inside = ([, { first_seed: first, seeds }]) => seed >= first && seed < first + seeds;
    const found = Object.entries(this.reference.splits).find(inside);
    this.split.value = found ? found[0] : "";
  }
}
