// Charts of an episode by step: performance, reward terms and budget; and the ladder of reference policies.

import { spoken } from "./explain.js";
import { figure, hue, label, path, picture, scale, signed, svg, ticks } from "./svg.js";

const LEFT = 40;
const RIGHT = 12;
const BOTTOM = 22;
const HEIGHT = 190;

/** Draw the range in which a task scores performance, and the threshold to pass. */
export function drawRange(root, task, y, width) {
  const [low, high] = task.performance_range;
  const pass = task.pass_performance;
  const right = width - RIGHT;
  root.append(
    svg("rect", { class: "range", x: LEFT, y: y(high), width: right - LEFT, height: y(low) - y(high) }),
    label(right - 4, y(high) + 13, `scores 1 at ${high.toFixed(2)}`, { class: "note end" }),
    label(right - 4, y(low) - 4, `scores 0 at ${low.toFixed(2)}`, { class: "note end" }),
    svg("line", { class: "pass", x1: LEFT, x2: right, y1: y(pass), y2: y(pass) }),
    label(LEFT + 4, y(pass) - 4, `passes above ${pass.toFixed(2)}`, { class: "note pass-note" }),
  );
  for (const tick of [low, high]) root.append(label(LEFT - 6, y(tick) + 4, tick.toFixed(2), { class: "tick end" }));
}

/** Return the scale of performances of a task, wide enough for all `values`. */
export function performanceScale(task, values, height) {
  const [low, high] = task.performance_range;
  const known = values.filter(Number.isFinite);
  return scale(Math.min(low, ...known) - 0.03, Math.max(high, ...known) + 0.03, height - BOTTOM, 8);
}

/** Draw performance by step, with the threshold of the task. */
export function drawPerformance(frame, episode, step) {
  const { task } = episode;
  const values = episode.replies.map((reply) => reply.observation.current_performance);
  const text = `Performance by step: ${values.slice(0, step + 1).map((value) => figure(value)).join(", ")}.`;
  const { root, width, height } = picture(frame, HEIGHT, text);
  const y = performanceScale(task, values, height);
  const x = scale(0, task.max_steps, LEFT, width - RIGHT);
  drawRange(root, task, y, width);
  steps(root, x, height, task.max_steps, step);
  const points = values.map((value, place) => [x(place), y(value)]);
  const known = (from, to) => path(points.slice(from, to).filter(([, height]) => Number.isFinite(height)));
  root.append(
    svg("polyline", { class: "line later", points: known(step) }),
    svg("polyline", { class: "line", points: known(0, step + 1) }),
  );
  values.forEach((value, place) => {
    if (!Number.isFinite(value)) return;
    const attributes = { cx: x(place), cy: y(value), r: place === step ? 5 : 3.2, "data-value": value };
    const tip = `Step ${place}: performance ${figure(value)}`;
    root.append(svg("circle", { ...attributes, class: place > step ? "dot later" : "dot", "data-tip": tip }));
  });
}

/** Draw reward terms as stacked bars by step; the terminal term is forty times larger, so its bar is cut. */
export function drawRewards(frame, episode, step) {
  const { task } = episode;
  const rewards = episode.replies.slice(1).map((reply) => ({ total: reply.reward, terms: reply.info.reward_terms }));
  const text = `Reward by step: ${rewards.slice(0, step).map(({ total }) => signed(total)).join(", ") || "none yet"}.`;
  const { root, width, height } = picture(frame, HEIGHT, text);
  const sums = rewards.flatMap(({ terms, total }) => (Object.keys(terms).length ? sumsOf(terms) : [total]));
  const [bottom, top] = [Math.min(-0.7, ...sums), Math.max(0.7, ...sums)];
  const y = scale(bottom * 1.05, top * 1.15, height - BOTTOM, 20);
  const x = scale(0, task.max_steps, LEFT, width - RIGHT);
  const thick = Math.min(26, 0.62 * (x(1) - x(0)));
  for (const tick of ticks(bottom, top, 4)) {
    root.append(
      svg("line", { class: tick === 0 ? "zero" : "grid", x1: LEFT, x2: width - RIGHT, y1: y(tick), y2: y(tick) }),
      label(LEFT - 6, y(tick) + 4, figure(tick, 1), { class: "tick end" }),
    );
  }
  steps(root, x, height, task.max_steps, step);
  rewards.forEach(({ total, terms }, place) => {
    const group = svg("g", { class: place < step ? "bar" : "bar later", "data-reward": total });
    const [left, above] = [x(place + 1) - thick / 2, stack(group, terms, x(place + 1) - thick / 2, thick, y)];
    if (terms.terminal) group.append(...terminal(x(place + 1), y(above), thick, terms.terminal));
    const net = y(total - (terms.terminal ?? 0));
    group.append(svg("line", { class: "net", x1: left - 3, x2: left + thick + 3, y1: net, y2: net }));
    root.append(group);
  });
}

/** Draw the terms of one step as a stack; return its top. */
function stack(group, terms, left, thick, y) {
  let [above, below] = [0, 0];
  for (const [name, value] of Object.entries(terms)) {
    if (name === "terminal" || value === 0) continue;
    const start = value > 0 ? above : below;
    if (value > 0) above += value;
    else below += value;
    const [from, to] = [y(Math.max(start, start + value)), y(Math.min(start, start + value))];
    const box = { x: left, y: from, width: thick, height: Math.max(0, to - from) };
    const told = { "data-term": name, "data-value": value, "data-tip": `${spoken(name)} ${signed(value)}` };
    group.append(svg("rect", { ...box, class: `term ${name}`, ...told }));
  }
  return above;
}

/** Return the highest and the lowest point of a stack, without the terminal term. */
function sumsOf(terms) {
  const values = Object.entries(terms).filter(([name]) => name !== "terminal").map(([, value]) => value);
  const sum = (kept) => kept.reduce((total, value) => total + value, 0);
  return [sum(values.filter((value) => value > 0)), sum(values.filter((value) => value < 0))];
}

function terminal(x, top, thick, value) {
  const told = { "data-term": "terminal", "data-value": value, "data-tip": `terminal ${signed(value)}, for the grade` };
  const box = { x: x - thick / 2, y: 16, width: thick, height: Math.max(4, top - 16) };
  return [
    svg("rect", { class: "term terminal", ...box, ...told }),
    svg("path", { class: "cut", d: `M${x - thick / 2 - 2} 24l${thick + 4} -5M${x - thick / 2 - 2} 28l${thick + 4} -5` }),
    label(x + thick / 2, 11, signed(value, 1), { class: "note end strong" }),
  ];
}

/** Label the steps along the axis and mark the selected one. */
function steps(root, x, height, most, step) {
  root.append(svg("line", { class: "cursor", x1: x(step), x2: x(step), y1: 8, y2: height - BOTTOM }));
  for (const tick of ticks(0, most, Math.min(most, 8))) {
    root.append(label(x(tick), height - 7, String(tick), { class: "tick middle" }));
  }
}

/** Draw the budget as a bar: purchases by step and strategy, and the rest. */
export function drawBudget(frame, episode, step) {
  const { task, strategies } = episode;
  const text = `Budget: ${episode.boughtAt(step).bought} of ${task.budget} samples bought.`;
  const { root, width, height } = picture(frame, 26, text);
  const x = scale(0, task.budget, 1, width - 1);
  root.append(svg("rect", { class: "remainder", x: 1, y: 3, width: width - 2, height: height - 6, rx: 4 }));
  let start = 0;
  episode.replies.slice(1, step + 1).forEach(({ info }, place) => {
    const known = Object.keys(info.bought_by).length > 0;
    const shares = known ? Object.entries(info.bought_by) : [["some strategy", info.batch_size]];
    for (const [name, count] of shares) {
      if (!count) continue;
      const box = { x: x(start), y: 3, width: x(start + count) - x(start), height: height - 6 };
      const tip = `Step ${place + 1}: ${count} by ${spoken(name)}`;
      const told = { "data-step": place + 1, "data-count": count, "data-tip": tip };
      root.append(svg("rect", { ...box, class: `spent ${hue(strategies.indexOf(name))}`, ...told }));
      start += count;
    }
    if (info.batch_size) root.append(svg("line", { class: "gap", x1: x(start), x2: x(start), y1: 3, y2: height - 3 }));
  });
}

/** Draw the ladder of reference policies as bars, sorted, with `own` (a score or null) among them. */
export function drawLadder(frame, rows, own) {
  const all = rows.map((row) => ({ ...row }));
  if (own !== null) all.push({ policy: "this episode", score: own, own: true });
  all.sort((one, other) => other.score - one.score);
  const names = all.map((row) => `${row.policy} ${figure(row.score, 2)}`).join(", ");
  const { root, width } = picture(frame, 26 * all.length + 4, `Grades, best first: ${names}.`);
  const x = scale(0, 1, 118, width - 44);
  all.forEach((row, place) => {
    const middle = 26 * place + 15;
    const told = { "data-policy": row.policy, "data-tip": row.description };
    const group = svg("g", { class: row.own ? "rung own" : "rung", ...told });
    group.append(
      label(110, middle + 4, row.policy, { class: "name end" }),
      svg("rect", { class: "track", x: x(0), y: middle - 7, width: x(1) - x(0), height: 14, rx: 3 }),
      svg("rect", { class: "reached", x: x(0), y: middle - 7, width: x(row.score) - x(0), height: 14, rx: 3 }),
      label(width - 4, middle + 4, figure(row.score, 2), { class: "value end" }),
    );
    if (row.interval) {
      const [from, to] = row.interval.map(x);
      group.append(svg("path", { class: "margin", d: `M${from} ${middle}H${to}M${from} ${middle - 4}v8M${to} ${middle - 4}v8` }));
    }
    root.append(group);
  });
}
