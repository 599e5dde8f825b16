// The pool as a scatter plot: on principal components, or by what the query strategies look at.

import { spoken } from "./explain.js";
import { hue, label, scale, shape, svg } from "./svg.js";

const WIDTH = 420;
const MARGIN = 14;
const STAGGER = 18; // milliseconds between the highlights of two samples of a batch

const VIEWS = {
  components: "two principal components",
  certainty: "distance from the centre and certainty of the first model",
};

/** Return the purchases up to a step by sample: step, order in the batch, strategy; strategies pick one after another. */
function purchasesOf(episode, step) {
  const found = new Map();
  episode.purchases.slice(0, step).forEach(({ samples, points }, place) => {
    const counts = Object.entries(episode.replies[place + 1].info.bought_by);
    const choosers = counts.flatMap(([name, count]) => Array(count).fill(name));
    samples.forEach((sample, order) => {
      found.set(sample, { by: choosers[order], step: place + 1, order, point: points?.[order] });
    });
  });
  return found;
}

/** A scatter plot; draw() shows an episode at a step. */
export class Scatter {
  constructor(frame) {
    this.frame = frame;
    this.points = null;
    this.shown = null;
  }

  draw(episode, step) {
    if (episode.points === null) {
      this.points = this.shown = null;
      this.frame.replaceChildren();
      return;
    }
    if (this.points !== episode.points) this.layOut(episode);
    const bought = purchasesOf(episode, step);
    const wrong = new Set(episode.purchases.slice(0, step).flatMap(({ mislabelled }) => mislabelled));
    const atEnd = episode.done && step === episode.steps && episode.mislabelled !== null;
    if (atEnd) episode.mislabelled.forEach((sample) => wrong.add(sample));
    const advanced = this.shown?.episode === episode && step === this.shown.step + 1;
    this.dots.forEach((dot, sample) => dot.classList.toggle("taken", bought.has(sample)));
    const marks = [...new Set([...bought.keys(), ...wrong])].map((sample) => {
      const purchase = bought.get(sample);
      return this.mark(episode, sample, purchase, wrong.has(sample), advanced && purchase?.step === step);
    });
    this.marks.replaceChildren(...marks.filter(Boolean));
    this.shown = { episode, step };
    this.root.setAttribute("aria-label", describe(bought.size, wrong.size, episode, atEnd));
  }

  /** Place all samples that are drawn. */
  layOut(episode) {
    this.points = episode.points;
    const isMap = episode.layout === "components";
    const [[left, right], [low, high]] = [0, 1].map((axis) => {
      const values = this.points.map((point) => point[axis]);
      return [Math.min(...values), Math.max(...values)];
    });
    const share = isMap ? (high - low) / (right - left) : 0.72; // of components, the same scale on both axes
    const height = MARGIN * 2 + share * (WIDTH - 2 * MARGIN);
    this.x = scale(left, right, MARGIN, WIDTH - MARGIN);
    this.y = scale(low, high, height - MARGIN, MARGIN);
    const indices = episode.sample ?? this.points.keys();
    this.places = new Map([...indices].map((sample, place) => [sample, this.points[place]]));
    this.dots = new Map();
    for (const [sample, [first, second]] of this.places) {
      this.dots.set(sample, svg("circle", { cx: this.x(first).toFixed(1), cy: this.y(second).toFixed(1), r: 1.9 }));
    }
    this.marks = svg("g", { class: "marks" });
    const axes = [
      label(WIDTH - MARGIN, height - 1, "distance from the centre \u2192", { class: "note end" }),
      label(2, 9, "\u2191 certainty of the first model", { class: "note" }),
    ];
    const attributes = { viewBox: `0 0 ${WIDTH} ${height.toFixed(1)}`, role: "img", class: "scatter" };
    const pool = svg("g", { class: "pool" }, ...this.dots.values());
    this.root = svg("svg", attributes, pool, this.marks, ...(isMap ? [] : axes));
    this.frame.replaceChildren(this.root);
  }

  /** Return the mark of a sample that was bought, is mislabelled, or both; null for one that has no position. */
  mark(episode, sample, purchase, isWrong, isNew) {
    const point = this.places.get(sample) ?? purchase?.point;
    if (!point) return null;
    const at = `translate(${this.x(point[0]).toFixed(1)} ${this.y(point[1]).toFixed(1)})`;
    const group = svg("g", { transform: at, "data-sample": sample, "data-wrong": isWrong });
    group.dataset.tip = purchase ? `Step ${purchase.step}: bought by ${spoken(purchase.by)}` : "Not bought";
    if (episode.task.audited) group.dataset.tip += isWrong ? ", wrong label" : ", right label";
    if (purchase) {
      const place = episode.strategies.indexOf(purchase.by);
      group.setAttribute("class", `bought ${hue(place)}${isNew ? " new" : ""}`);
      Object.assign(group.dataset, { step: purchase.step, by: purchase.by });
      const dot = svg("path", { class: "chosen", d: shape(place, 5) });
      if (isNew) dot.style.animationDelay = `${purchase.order * STAGGER}ms`;
      group.append(dot);
    }
    if (isWrong) {
      const arm = purchase ? 2.3 : 2.6;
      if (purchase) group.append(svg("circle", { class: "ring", r: 7 }));
      group.append(svg("path", { class: "wrong", d: `M${-arm} ${-arm}L${arm} ${arm}M${arm} ${-arm}L${-arm} ${arm}` }));
    }
    return group;
  }
}

function describe(bought, wrong, episode, atEnd) {
  const found = atEnd ? `${wrong} of all samples carry a wrong label` : `${wrong} of them carry a wrong label`;
  return (
    `Scatter of the pool: ${episode.points.length} samples on ${VIEWS[episode.layout]}. ${bought} bought; ${found}.`
  );
}
