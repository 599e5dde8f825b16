// Charts of a comparison: the performances of all episodes on one scale, and all grades by policy.

import { drawRange, performanceScale } from "./charts.js";
import { figure, hue, label, path, picture, scale, shape, svg, ticks } from "./svg.js";
import { mean } from "./statistics.js";

const [LEFT, RIGHT, BOTTOM] = [40, 12, 22];
const GRID = 40; // places at which mean curves are computed
const ROW = 40;

/** Return the performance after `bought` samples. */
function at(curve, bought) {
  return curve.findLast(([size]) => size <= bought)[1];
}

/** Draw the performances by samples bought: a thin line for each episode, a thick one for the mean of a policy. */
export function drawCurves(frame, policies, results, task) {
  const { root, width, height } = picture(frame, 260, `Performance by samples bought: ${policies.join(", ")}.`);
  const curves = policies.map((policy) => results.filter((one) => one.policy === policy).map(({ curve }) => curve));
  const most = Math.max(task.drawn ? 0 : task.budget, ...curves.flat(2).map(([bought]) => bought));
  const y = performanceScale(task, curves.flat(2).map(([, value]) => value), height);
  const x = scale(0, most, LEFT, width - RIGHT);
  if (!task.drawn) drawRange(root, task, y, width);
  for (const tick of ticks(0, most, 6)) root.append(label(x(tick), height - 7, String(tick), { class: "tick middle" }));
  curves.forEach((own, place) => {
    if (!own.length) return;
    const group = svg("g", { class: `curves ${hue(place)}`, "data-policy": policies[place] });
    for (const curve of own) {
      const points = path(curve.map(([bought, value]) => [x(bought), y(value)]));
      group.append(svg("polyline", { class: "one", points }));
    }
    const end = Math.max(...own.map((curve) => curve[curve.length - 1][0]));
    const places = Array.from({ length: GRID + 1 }, (_, index) => (end * index) / GRID);
    const means = places.map((bought) => [x(bought), y(mean(own.map((curve) => at(curve, bought))).middle)]);
    const [right, level] = means[GRID];
    group.append(
      svg("polyline", { class: "mean", points: path(means) }),
      svg("path", { class: "chosen", d: shape(place, 5), transform: `translate(${right} ${level})`, "data-tip": policies[place] }),
    );
    root.append(group);
  });
}

/** Draw the grades of each policy as a strip: a mark for each seed, and the mean with its 95 % interval. */
export function drawStrips(frame, policies, results) {
  const { root, width, height } = picture(frame, ROW * policies.length + BOTTOM, `Grades of ${policies.join(", ")}.`);
  const x = scale(0, 1, 118, width - RIGHT);
  for (const tick of [0, 0.25, 0.5, 0.75, 1]) {
    root.append(
      svg("line", { class: "grid", x1: x(tick), x2: x(tick), y1: 0, y2: height - BOTTOM }),
      label(x(tick), height - 7, String(tick), { class: "tick middle" }),
    );
  }
  policies.forEach((policy, place) => {
    const middle = ROW * place + ROW / 2;
    const own = results.filter((one) => one.policy === policy);
    const group = svg("g", { class: `strip ${hue(place)}`, "data-policy": policy });
    group.append(label(110, middle + 4, policy, { class: "name end" }));
    for (const { seed, score, passed } of own) {
      const height = middle + ((seed % 7) - 3) * 3; // apart, so that equal grades can be told apart
      const told = { "data-score": score, "data-tip": `Seed ${seed}: ${figure(score, 2)}, ${passed ? "" : "not "}passed` };
      const at = `translate(${x(score).toFixed(1)} ${height})`;
      group.append(svg("path", { class: passed ? "chosen" : "hollow", d: shape(place, 4), transform: at, ...told }));
    }
    const { middle: centre, half } = mean(own.map(({ score }) => score));
    if (own.length) group.append(svg("path", { class: "centre", d: `M${x(centre)} ${middle - 15}v30` }));
    if (Number.isFinite(half)) {
      const [from, to] = [x(Math.max(0, centre - half)), x(Math.min(1, centre + half))];
      group.append(svg("path", { class: "margin", d: `M${from} ${middle + 15}H${to}M${from} ${middle + 11}v8M${to} ${middle + 11}v8` }));
    }
    root.append(group);
  });
}
