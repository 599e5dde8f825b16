// View of an episode at one step: facts, scatter plot, charts and explanations, in a copy of the template.

import { drawBudget, drawPerformance, drawRewards } from "./charts.js";
import { performanceText, spoken, termsOf } from "./explain.js";
import { Scatter } from "./scatter.js";
import { element, fillTable } from "./page.js";
import { figure, hue, percent, shape, signed, svg } from "./svg.js";

export class EpisodeView {
  /** Put a copy of the template into `frame`. */
  constructor(frame) {
    frame.replaceChildren(document.getElementById("episode-view").content.cloneNode(true));
    this.parts = {};
    for (const part of frame.querySelectorAll("[data-part]")) this.parts[part.dataset.part] = part;
    this.scatter = new Scatter(this.parts.scatter);
    this.episode = null;
    new ResizeObserver(() => this.draw()).observe(this.parts.performance);
    this.parts.layout.addEventListener("change", () => this.onLayout?.(this.parts.layout.value));
  }

  /** Show an episode at a step. */
  show(episode, step) {
    this.episode = episode;
    this.step = step;
    this.draw();
  }

  draw() {
    const { episode, parts, step } = this;
    if (!episode?.last || parts.performance.clientWidth === 0) return;
    this.scatter.draw(episode, step);
    drawPerformance(parts.performance, episode, step);
    drawRewards(parts.rewards, episode, step);
    drawBudget(parts.budget, episode, step);
    this.tellFacts();
    this.tellPool();
    this.tellTerms();
  }

  /** Write the facts as numbers. */
  tellFacts() {
    const { episode, parts, step } = this;
    const { task } = episode;
    const { current_performance: performance } = episode.replies[step].observation;
    const { bought, mislabelled } = episode.boughtAt(step);
    const accuracy = episode.accuracies?.[step];
    const beside = accuracy === undefined ? "" : `, accuracy ${percent(accuracy)}`;
    fact(parts.performanceFact, figure(performance), `passes above ${task.pass_performance}${beside}`);
    parts.performanceFact.dataset.holds = performance > task.pass_performance;
    parts.performanceFact.dataset.tip = performanceText(performance);
    fact(parts.budgetFact, task.budget - bought, `of ${task.budget} left`);
    const limit = task.pass_noise === null ? "" : `, must stay below ${percent(task.pass_noise)}`;
    const share = bought && task.audited ? percent(mislabelled / bought) : "\u2013";
    fact(parts.noiseFact, share, task.audited ? `${mislabelled} of ${bought} bought${limit}` : "not reported");
    if (task.pass_noise !== null) parts.noiseFact.dataset.holds = bought > 0 && mislabelled / bought < task.pass_noise;
    else delete parts.noiseFact.dataset.holds;
    fact(parts.stepFact, `${step}`, `of ${task.max_steps}`);
    fact(parts.returnFact, signed(episode.returnAt(step)), "sum of rewards");
  }

  /** Write what the scatter plot shows, and how many samples each strategy has bought. */
  tellPool() {
    const { episode, parts, step } = this;
    const size = episode.task.pool_size.toLocaleString("en");
    const drawn = episode.sample ? `, ${episode.sample.length.toLocaleString("en")} of them drawn` : "";
    parts.poolNote.textContent = episode.points === null ? (episode.refusal ?? `${size} samples`) : `${size} samples${drawn}`;
    parts.layout.closest("label").hidden = episode.points === null;
    const { by } = episode.boughtAt(step);
    const used = episode.strategies.filter((name, place) => place < 3 || by[name] > 0);
    const entries = used.map((name) => {
      const place = episode.strategies.indexOf(name);
      const key = svg("svg", { class: `shape ${hue(place)}`, viewBox: "-7 -7 14 14", "aria-hidden": true });
      key.append(svg("path", { d: shape(place, 5) }));
      return element("li", key, ` ${spoken(name)} `, element("b", by[name]));
    });
    parts.legend.replaceChildren(...entries, parts.wrongKey);
  }

  /** Write the reward of the step as a sum. */
  tellTerms() {
    const { episode, parts, step } = this;
    const terms = step === 0 ? [] : termsOf(episode, step);
    const { reward } = episode.replies[step];
    parts.termsTitle.textContent = step === 0 ? "The reward of a step stands here" : `Reward of step ${step}: ${signed(reward)}`;
    fillTable(parts.terms, terms.map(([name, formula, value]) => [spoken(name), formula, signed(value)]));
  }
}

function fact(part, value, note) {
  part.querySelector("strong").textContent = value;
  part.querySelector("small").textContent = note;
}
