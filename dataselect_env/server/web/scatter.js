// The pool as a scatter plot of the first two principal components.

import { scale, svg } from "./svg.js";

const WIDTH = 420;
const MARGIN = 12;
const STAGGER = 18; // milliseconds between the highlights of two samples of a batch

/** Return the query strategy of each sample of a batch; strategies pick one after the other. */
function choosers(info, strategies) {
  return strategies.flatMap((name) => Array(info.bought_by[name]).fill(name));
}

/** A scatter plot; draw() shows an episode at a step. */
export class Scatter {
  constructor(frame) {
    this.frame = frame;
    this.points = null;
    this.shown = null;
  }

  draw(episode, step) {
    if (episode.points === null) return;
    if (this.points !== episode.points) this.layOut(episode);
    const bought = new Map();
    const wrong = new Set();
    episode.purchases.slice(0, step).forEach((purchase, place) => {
      const chosenBy = choosers(episode.replies[place + 1].info, episode.reference.strategies);
      purchase.samples.forEach((sample, order) => bought.set(sample, { by: chosenBy[order], step: place + 1, order }));
      purchase.mislabelled.forEach((sample) => wrong.add(sample));
    });
    const atEnd = episode.done && step === episode.steps && episode.mislabelled !== null;
    if (atEnd) episode.mislabelled.forEach((sample) => wrong.add(sample));
    const advanced = this.shown?.episode === episode && step === this.shown.step + 1;
    this.marks.replaceChildren();
    this.dots.forEach((dot, sample) => {
      const mark = bought.get(sample);
      dot.classList.toggle("taken", mark !== undefined);
      if (mark === undefined && !wrong.has(sample)) return;
      this.marks.append(this.mark(sample, mark, wrong.has(sample), advanced && mark?.step === step));
    });
    this.shown = { episode, step };
    this.root.setAttribute("aria-label", describe(bought.size, wrong.size, episode, atEnd));
  }

  /** Place all samples. */
  layOut(episode) {
    this.points = episode.points;
    const [[left, right], [low, high]] = [0, 1].map((axis) => {
      const values = this.points.map((point) => point[axis]);
      return [Math.min(...values), Math.max(...values)];
    });
    const height = MARGIN * 2 + ((high - low) / (right - left)) * (WIDTH - 2 * MARGIN); // the same scale on both axes
    const x = scale(left, right, MARGIN, WIDTH - MARGIN);
    const y = scale(low, high, height - MARGIN, MARGIN);
    this.places = this.points.map(([first, second]) => [x(first).toFixed(1), y(second).toFixed(1)]);
    this.dots = this.places.map(([cx, cy]) => svg("circle", { cx, cy, r: 1.9 }));
    this.marks = svg("g", { class: "marks" });
    this.root = svg(
      "svg",
      { viewBox: `0 0 ${WIDTH} ${height.toFixed(1)}`, role: "img", class: "scatter" },
      svg("g", { class: "pool" }, ...this.dots),
      this.marks,
    );
    this.frame.replaceChildren(this.root);
  }

  /** Return the mark of a sample that was bought, is mislabelled, or both. */
  mark(sample, purchase, isWrong, isNew) {
    const [x, y] = this.places[sample];
    const group = svg("g", { transform: `translate(${x} ${y})`, "data-sample": sample, "data-wrong": isWrong });
    if (purchase) {
      group.setAttribute("class", `bought ${purchase.by}${isNew ? " new" : ""}`);
      group.setAttribute("data-step", purchase.step);
      const dot = svg("circle", { class: "chosen", r: 5 });
      if (isNew) dot.style.animationDelay = `${purchase.order * STAGGER}ms`;
      group.append(dot);
    }
    if (isWrong) {
      const arm = purchase ? 2.3 : 2.6;
      if (purchase) group.append(svg("circle", { class: "ring", r: 6.2 }));
      group.append(svg("path", { class: "wrong", d: `M${-arm} ${-arm}L${arm} ${arm}M${arm} ${-arm}L${-arm} ${arm}` }));
    }
    return group;
  }
}

function describe(bought, wrong, episode, atEnd) {
  const size = episode.points.length;
  const found = atEnd ? `${wrong} of all samples carry a wrong label` : `${wrong} of them carry a wrong label`;
  return `Scatter of the pool: ${size} samples on two principal components. ${bought} bought; ${found}.`;
}
