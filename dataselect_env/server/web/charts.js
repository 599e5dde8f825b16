// Charts of an episode by step: performance, reward terms and budget; and the ladder of reference policies.

import { figure, label, picture, scale, signed, svg, ticks } from "./svg.js";

const LEFT = 40;
const RIGHT = 12;
const BOTTOM = 22;

/** Draw performance by step, with the threshold of the task. */
export function drawPerformance(frame, episode, step) {
  const { task } = episode;
  const values = episode.replies.map((reply) => reply.observation.current_performance);
  const text = `Performance by step: ${values.slice(0, step + 1).map((value) => figure(value)).join(", ")}.`;
  const { root, width, height } = picture(frame, 190, text);
  const [low, high] = task.performance_range;
  const y = scale(Math.min(low, ...values) - 0.03, Math.max(high, ...values) + 0.03, height - BOTTOM, 8);
  const x = scale(0, task.max_steps, LEFT, width - RIGHT);

  root.append(
    svg("rect", { class: "range", x: LEFT, y: y(high), width: width - RIGHT - LEFT, height: y(low) - y(high) }),
    label(width - RIGHT - 4, y(high) + 13, `scores 1 at ${high.toFixed(2)}`, { class: "note end" }),
    label(width - RIGHT - 4, y(low) - 4, `scores 0 at ${low.toFixed(2)}`, { class: "note end" }),
  );
  const pass = task.pass_performance;
  root.append(
    svg("line", { class: "pass", x1: LEFT, x2: width - RIGHT, y1: y(pass), y2: y(pass) }),
    label(LEFT + 4, y(pass) - 4, `passes above ${pass.toFixed(2)}`, { class: "note pass-note" }),
  );
  for (const tick of [low, high]) root.append(label(LEFT - 6, y(tick) + 4, tick.toFixed(2), { class: "tick end" }));
  steps(root, x, height, task.max_steps, step);

  const path = values.map((value, place) => `${x(place).toFixed(1)},${y(value).toFixed(1)}`);
  root.append(
    svg("polyline", { class: "line later", points: path.slice(step).join(" ") }),
    svg("polyline", { class: "line", points: path.slice(0, step + 1).join(" ") }),
  );
  values.forEach((value, place) => {
    const attributes = { cx: x(place), cy: y(value), r: place === step ? 5 : 3.2, "data-value": value };
    root.append(svg("circle", { ...attributes, class: place > step ? "dot later" : "dot" }, tip(figure(value))));
  });
}

/** Draw reward terms as stacked bars by step; the terminal term is forty times larger, so its bar is cut. */
export function drawRewards(frame, episode, step) {
  const { task, reference } = episode;
  const names = reference.reward_terms;
  const rewards = episode.replies.slice(1).map((reply) => ({ total: reply.reward, terms: reply.info.reward_terms }));
  const text = `Reward by step: ${rewards.slice(0, step).map(({ total }) => signed(total)).join(", ") || "none yet"}.`;
  const { root, width, height } = picture(frame, 190, text);
  const sums = rewards.flatMap(({ terms }) => sumsOf(terms, names));
  const y = scale(Math.min(-0.7, ...sums) * 1.05, Math.max(0.7, ...sums) * 1.15, height - BOTTOM, 20);
  const x = scale(0, task.max_steps, LEFT, width - RIGHT);
  const thick = Math.min(26, 0.62 * (x(1) - x(0)));

  const [bottom, top] = [Math.min(-0.7, ...sums), Math.max(0.7, ...sums)];
  for (const tick of ticks(bottom, top, 4)) {
    root.append(
      svg("line", { class: tick === 0 ? "zero" : "grid", x1: LEFT, x2: width - RIGHT, y1: y(tick), y2: y(tick) }),
      label(LEFT - 6, y(tick) + 4, figure(tick, 1), { class: "tick end" }),
    );
  }
  steps(root, x, height, task.max_steps, step);
  rewards.forEach(({ total, terms }, place) => {
    const group = svg("g", { class: place < step ? "bar" : "bar later", "data-reward": total });
    let [above, below] = [0, 0];
    for (const name of names.filter((term) => term !== "terminal" && terms[term])) {
      const value = terms[name];
      const start = value > 0 ? above : below;
      if (value > 0) above += value;
      else below += value;
      const [from, to] = [y(Math.max(start, start + value)), y(Math.min(start, start + value))];
      const box = { x: x(place + 1) - thick / 2, y: from, width: thick, height: Math.max(0, to - from) };
      const title = tip(`${spoken(name)} ${signed(value)}`);
      group.append(svg("rect", { ...box, class: `term ${name}`, "data-term": name, "data-value": value }, title));
    }
    if (terms.terminal) group.append(...terminal(x(place + 1), y(above), thick, terms.terminal));
    const net = total - (terms.terminal ?? 0);
    group.append(
      svg("line", { class: "net", x1: x(place + 1) - thick / 2 - 3, x2: x(place + 1) + thick / 2 + 3, y1: y(net), y2: y(net) }),
    );
    root.append(group);
  });
}

/** Return the highest and the lowest point of a stack, without the terminal term. */
function sumsOf(terms, names) {
  const values = names.filter((name) => name !== "terminal").map((name) => terms[name] ?? 0);
  const sum = (kept) => kept.reduce((total, value) => total + value, 0);
  return [sum(values.filter((value) => value > 0)), sum(values.filter((value) => value < 0))];
}

function terminal(x, top, thick, value) {
  const attributes = { class: "term terminal", "data-term": "terminal", "data-value": value };
  return [
    svg("rect", { ...attributes, x: x - thick / 2, y: 16, width: thick, height: Math.max(4, top - 16) }),
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
  const { task, reference } = episode;
  const bought = episode.boughtAt(step).bought;
  const text = `Budget: ${bought} of ${task.budget} samples bought.`;
  const { root, width, height } = picture(frame, 26, text);
  const x = scale(0, task.budget, 1, width - 1);
  root.append(svg("rect", { class: "left", x: 1, y: 3, width: width - 2, height: height - 6, rx: 4 }));
  let start = 0;
  episode.replies.slice(1, step + 1).forEach(({ info }, place) => {
    for (const name of reference.strategies) {
      const count = info.bought_by[name];
      if (!count) continue;
      const box = { x: x(start), y: 3, width: x(start + count) - x(start), height: height - 6 };
      const title = tip(`step ${place + 1}: ${count} by ${name}`);
      root.append(svg("rect", { ...box, class: `spent ${name}`, "data-step": place + 1, "data-count": count }, title));
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
  const { root, width, height } = picture(frame, 26 * all.length + 4, `Grades, best first: ${names}.`);
  const x = scale(0, 1, 118, width - 44);
  all.forEach((row, place) => {
    const middle = 26 * place + 15;
    const group = svg("g", { class: row.own ? "rung own" : "rung", "data-policy": row.policy });
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
    if (row.description) group.append(tip(row.description));
    root.append(group);
  });
}

/** Return a tooltip. */
function tip(text) {
  return svg("title", {}, text);
}

/** Return the readable name of a reward term. */
export function spoken(name) {
  return name.replaceAll("_", " ");
}
