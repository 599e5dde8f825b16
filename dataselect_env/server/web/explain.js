// What numbers mean: each explanation is a sentence or a small sum that holds the numbers of the episode.

import { figure, percent, signed } from "./svg.js";

/** Return what a performance means. */
export function performanceText(value) {
  if (!Number.isFinite(value)) return "Performance is 1 / (1 + log loss) on the validation samples.";
  const loss = 1 / value - 1;
  return (
    `Performance is 1 / (1 + log loss) on the validation samples. ${figure(value)} is a log loss of ${figure(loss)}: ` +
    `the model gives the right class a probability of ${percent(Math.exp(-loss))} (geometric mean).`
  );
}

/** Return the terms of the reward of a step as [name, formula with numbers, value]. */
export function termsOf(episode, step) {
  const { info, observation } = episode.replies[step];
  const before = episode.replies[step - 1].observation.current_performance;
  const { performance, distance, redundancy, cost, terminal } = episode.reference.reward;
  const formulas = {
    performance_gain: () => `${performance} \u00d7 (${figure(observation.current_performance)} \u2212 ${figure(before)})`,
    diversity_bonus: (value) => `${distance} \u00d7 ${figure(value / distance, 2)}, the mean distance from the centroid`,
    redundancy: () => `\u2212${redundancy} \u00d7 ${figure(info.redundancy ?? 0, 2)}, the redundancy`,
    noise_penalty: () => `\u2212(1 + 2 \u00d7 ${episode.task.flip_y}) \u00d7 ${figure(info.noise_ratio ?? 0, 2)} wrong labels`,
    cost: () => `\u2212${cost} \u00d7 ${info.batch_size} samples`,
    baseline: () => "for every batch",
    terminal: () => `${terminal} \u00d7 ${figure(info.grade?.score ?? 0, 3)}, the grade`,
    grade_change: () => "change of the grade so far",
  };
  return Object.entries(info.reward_terms)
    .filter(([, value]) => value !== 0)
    .map(([name, value]) => [name, formulas[name]?.(value) ?? "", value]);
}

/** Return the parts of a grade as [name, formula with numbers, value, weight]. */
export function gradeParts({ breakdown: part }, task, reference) {
  const [low, high] = task.performance_range;
  const { noise_ceiling: ceiling, coverage, efficiency_price: price } = reference.grading;
  const noise = part.avg_noise_ratio;
  const enough = `min(1, ${part.budget_used} / (${coverage} \u00d7 ${part.budget}))`;
  const spent = `${price} \u00d7 ${part.budget_used} / ${part.budget}`;
  const score = figure(part.performance_score, 2);
  return [
    [
      "Performance score",
      `(${figure(part.performance)} \u2212 ${figure(low, 2)}) / (${figure(high, 2)} \u2212 ${figure(low, 2)}), from 0 to 1`,
      part.performance_score,
      task.performance_weight,
    ],
    [
      "Noise score",
      noise === null ? "0: no audited purchases" : `(1 \u2212 ${figure(noise, 2)} / ${ceiling}) \u00d7 ${enough}`,
      part.noise_score,
      task.noise_weight,
    ],
    ["Efficiency", `${score} \u00d7 (1 \u2212 ${spent})`, part.efficiency, task.efficiency_weight],
  ].filter(([, , , weight]) => weight > 0);
}

/** Return the grade as a sum of its weighted parts. */
export function gradeSum(parts, score) {
  const summands = parts.map(([, , value, weight]) => `${weight} \u00d7 ${figure(value, 2)}`);
  return `${summands.join(" + ")} = ${figure(score, 2)}`;
}

/** Return why an episode passed or not. */
export function passedText({ passed, score, breakdown: part }, task) {
  const limits = [`performance ${figure(part.performance)} against more than ${figure(task.pass_performance, 2)}`];
  if (task.pass_noise !== null) {
    const noise = part.avg_noise_ratio === null ? "nothing bought" : `${percent(part.avg_noise_ratio)} wrong labels`;
    limits.push(`${noise} against less than ${percent(task.pass_noise)}`);
  }
  const differs = passed === score < 0.5;
  const why = differs ? " Passing is a threshold of its own; the grade measures how far an episode got." : "";
  return `${passed ? "Passed" : "Not passed"}: ${limits.join("; ")}.${why}`;
}

const REASONS = {
  stop: "stopped",
  budget: "the budget is spent",
  max_steps: "no steps are left",
  pool: "the pool is empty",
};

/** Describe a step in a sentence; step 0 is the start. */
export function sentence(episode, step) {
  const { info, observation, reward } = episode.replies[step];
  const performance = figure(observation.current_performance);
  if (step === 0) return `Start: ${figure(observation.samples_available, 0)} samples to buy from, performance ${performance}.`;
  const reason = REASONS[info.end_reason] ?? (episode.replies[step].done ? "finished" : null);
  const end = reason === null ? "" : ` The episode is over (${reason}).`;
  if (info.batch_size === 0) return `Step ${step}: stopped, bought nothing.${end}`;
  const before = figure(episode.replies[step - 1].observation.current_performance);
  const wrong = info.mislabelled === null ? "" : `, ${info.mislabelled} with a wrong label`;
  return (
    `Step ${step}: bought ${info.batch_size}${wrong}; ` +
    `performance ${before} \u2192 ${performance}, reward ${signed(reward)}.${end}`
  );
}

/** Return the readable name of a reward term or strategy. */
export function spoken(name) {
  return name.replaceAll("_", " ");
}
