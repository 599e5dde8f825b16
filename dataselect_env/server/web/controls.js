// The form of the next action: batch size, and a slider for each query strategy that the task offers.

import { selectBatch, strategiesOf } from "./episode.js";
import { spoken } from "./explain.js";
import { byId, element, setSlider } from "./page.js";
import { hue, percent } from "./svg.js";

const BASIC = { uncertainty: 3, diversity: 4, random: 3 };
const HIGHEST = 10;

export class ActionForm {
  /** `onChange` is called when a slider has moved. */
  constructor(reference, onChange) {
    this.reference = reference;
    this.size = Number(byId("batch").value); // the chosen size; the slider is limited by the budget
    this.sliders = {};
    byId("batch").addEventListener("input", () => (this.size = Number(byId("batch").value)));
    byId("action").addEventListener("input", () => {
      this.tell();
      onChange();
    });
  }

  /** Offer what a task offers while `remaining` samples may be bought. */
  offer(task, remaining) {
    const strategies = strategiesOf(task, this.reference);
    if (strategies.join() !== Object.keys(this.sliders).join()) this.build(strategies);
    const least = task.min_batch;
    const most = Math.max(least, Math.min(task.max_batch ?? Infinity, Number.isFinite(remaining) ? remaining : this.size));
    Object.assign(byId("batch"), { min: least, max: most, value: this.size });
    this.tell();
  }

  /** Make the sliders; those of strategies that were there before keep their weights. */
  build(strategies) {
    const before = this.weights;
    const rows = strategies.map((name, place) => {
      const input = Object.assign(document.createElement("input"), { type: "range", id: `weight-${name}`, min: 0, max: HIGHEST });
      input.value = before[name] ?? BASIC[name] ?? 0;
      const label = element("label", spoken(name));
      label.htmlFor = input.id;
      const row = element("div", label, " ", element("output"), input);
      row.className = `slider ${hue(place)}`;
      this.sliders[name] = input;
      return row;
    });
    this.sliders = Object.fromEntries(strategies.map((name) => [name, this.sliders[name]]));
    const basic = Object.keys(BASIC).length;
    byId("weights").replaceChildren(...rows.slice(0, basic));
    byId("extra-weights").replaceChildren(...rows.slice(basic));
    byId("extra").hidden = rows.length <= basic;
    byId("extra-count").textContent = `${rows.length - basic} strategies that look at the given labels`;
  }

  get weights() {
    return Object.fromEntries(Object.entries(this.sliders).map(([name, slider]) => [name, Number(slider.value)]));
  }

  get hasWeights() {
    return Object.values(this.weights).some((weight) => weight > 0);
  }

  get action() {
    return selectBatch(Number(byId("batch").value), this.weights);
  }

  /** Write the values beside the sliders. */
  tell() {
    const total = Object.values(this.weights).reduce((sum, weight) => sum + weight, 0);
    for (const slider of Object.values(this.sliders)) {
      setSlider(slider, {}, total ? percent(Number(slider.value) / total) : "0");
    }
    setSlider(byId("batch"), {}, `${byId("batch").value} samples`);
  }
}
