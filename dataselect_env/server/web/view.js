// View of an episode at one step: facts, scatter plot and charts, in a copy of the template.

import { drawBudget, drawPerformance, drawRewards } from "./charts.js";
import { Scatter } from "./scatter.js";
import { figure, percent, signed } from "./svg.js";

export class EpisodeView {
  /** Put a copy of the template into `frame`. */
  constructor(frame) {
    frame.replaceChildren(document.getElementById("episode-view").content.cloneNode(true));
    this.parts = {};
    for (const part of frame.querySelectorAll("[data-part]")) this.parts[part.dataset.part] = part;
    this.scatter = new Scatter(this.parts.scatter);
    this.episode = null;
    new ResizeObserver(() => this.draw()).observe(this.parts.performance);
  }

  /** Show an episode at a step. */
  show(episode, step) {
    this.episode = episode;
    this.step = step;
    this.draw();
  }

  draw() {
    const { episode, parts, step } = this;
    if (!episode?.last) return;
    this.scatter.draw(episode, step);
    drawPerformance(parts.performance, episode, step);
    drawRewards(parts.rewards, episode, step);
    drawBudget(parts.budget, episode, step);
    this.tell();
  }

  /** Write the facts as numbers. */
  tell() {
    const { episode, parts, step } = this;
    const { task } = episode;
    const { observation } = episode.replies[step];
    const { bought, mislabelled } = episode.boughtAt(step);
    fact(parts.performanceFact, figure(observation.current_performance), `passes above ${task.pass_performance}`);
    parts.performanceFact.dataset.holds = observation.current_performance > task.pass_performance;
    fact(parts.budgetFact, observation.remaining_budget, `of ${task.budget} left`);
    const limit = task.pass_noise === null ? "" : `, must stay below ${percent(task.pass_noise)}`;
    const share = bought && task.audited ? percent(mislabelled / bought) : "\u2013";
    fact(parts.noiseFact, share, task.audited ? `${mislabelled} of ${bought} bought${limit}` : "not reported");
    if (task.pass_noise !== null) parts.noiseFact.dataset.holds = bought > 0 && mislabelled / bought < task.pass_noise;
    else delete parts.noiseFact.dataset.holds;
    fact(parts.stepFact, `${step}`, `of ${task.max_steps}`);
    fact(parts.returnFact, signed(episode.returnAt(step)), "sum of rewards");
    const size = task.pool_size.toLocaleString("en");
    parts.poolNote.textContent =
      episode.points === null ? `${size} samples, too many to draw` : `${size} samples on two principal components`;
    this.tellShares();
  }

  /** Write how many samples each strategy has bought. */
  tellShares() {
    const { episode, parts, step } = this;
    const infos = episode.replies.slice(1, step + 1).map((reply) => reply.info);
    for (const name of episode.reference.strategies) {
      const count = infos.reduce((sum, info) => sum + info.bought_by[name], 0);
      parts[name].textContent = count;
    }
  }
}

function fact(part, value, note) {
  part.querySelector("strong").textContent = value;
  part.querySelector("small").textContent = note;
}

/** Describe a step in a sentence; step 0 is the start. */
export function sentence(episode, step) {
  const reply = episode.replies[step];
  const performance = figure(reply.observation.current_performance);
  if (step === 0) return `Start: ${reply.observation.samples_available} samples to buy from, performance ${performance}.`;
  const { info } = reply;
  const end = info.end_reason === null ? "" : ` The episode is over (${REASONS[info.end_reason]}).`;
  if (info.batch_size === 0) return `Step ${step}: stopped, bought nothing.${end}`;
  const before = figure(episode.replies[step - 1].observation.current_performance);
  const wrong = info.mislabelled === null ? "" : `, ${info.mislabelled} with a wrong label`;
  return (
    `Step ${step}: bought ${info.batch_size}${wrong}; ` +
    `performance ${before} \u2192 ${performance}, reward ${signed(reply.reward)}.${end}`
  );
}

const REASONS = {
  stop: "stopped",
  budget: "the budget is spent",
  max_steps: "no steps are left",
  pool: "the pool is empty",
};
