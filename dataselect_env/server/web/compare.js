// The tab where two policies play the same task and seed side by side.

import { Episode } from "./episode.js";
import { PACE, byId, setSlider, wait } from "./page.js";
import { startPolicy } from "./policies.js";
import { SeedChoice } from "./seeds.js";
import { figure } from "./svg.js";
import { EpisodeView } from "./view.js";

export class Compare {
  constructor(reference) {
    this.reference = reference;
    this.seed = new SeedChoice(reference, "compare-");
    this.sides = ["left", "right"].map((name) => ({ name, view: new EpisodeView(byId(`${name}-view`)), episode: null }));
    this.run = 0;
    byId("compare-setup").addEventListener("submit", (event) => {
      event.preventDefault();
      this.start();
    });
    byId("compare-draw").addEventListener("click", () => {
      this.seed.draw();
      this.start();
    });
    byId("compare-history").addEventListener("input", () => this.lookAt(Number(byId("compare-history").value)));
  }

  /** Run both policies to the end; abandon the current run. */
  async start() {
    const run = ++this.run;
    try {
      await this.begin();
      while (run === this.run && !this.done) {
        await wait(PACE);
        await this.advance();
      }
      if (run === this.run) this.conclude();
    } catch (error) {
      if (run === this.run) byId("compare-status").textContent = error.message;
    }
  }

  get done() {
    return this.sides.every(({ episode }) => episode.done);
  }

  async begin() {
    const seed = this.seed.read();
    this.close();
    byId("compare-status").textContent = "Both are playing \u2026";
    for (const side of this.sides) {
      side.policy = byId(`${side.name}-policy`).value;
      side.episode = new Episode(this.reference, byId("compare-task").value, seed);
      byId(`${side.name}-title`).textContent = side.policy;
      const { description } = this.reference.policies.find(({ name }) => name === side.policy);
      byId(`${side.name}-text`).textContent = description;
      await side.episode.start();
      side.act = startPolicy(this.reference, side.policy, side.episode.task, side.episode.replies);
    }
    this.lookAt(0);
  }

  /** Play one step of each running episode; wrong labels are shown when both are over. */
  async advance() {
    for (const { episode, act } of this.sides) {
      if (!episode.done) await episode.step(act(episode.last));
    }
    for (const { episode } of this.sides) {
      if (!episode.done || this.done) await episode.look();
    }
    this.lookAt(Math.max(...this.sides.map(({ episode }) => episode.steps)));
  }

  /** Show a step of both episodes; the shorter one stays at its end. */
  lookAt(step) {
    const most = Math.max(...this.sides.map(({ episode }) => episode?.steps ?? 0));
    setSlider("compare-history", { min: 0, max: most, value: step }, `${step} of ${most}`);
    for (const { episode, view } of this.sides) {
      if (episode?.last) view.show(episode, Math.min(step, episode.steps));
    }
  }

  conclude() {
    const [left, right] = this.sides;
    for (const { name, policy, episode } of this.sides) {
      const { score, passed } = episode.grade;
      byId(`${name}-title`).textContent = `${policy}: ${figure(score, 2)}, ${passed ? "passed" : "not passed"}`;
      byId(`${name}-title`).dataset.value = score;
    }
    const ahead = left.episode.grade.score - right.episode.grade.score;
    const winner = ahead > 0 ? left.policy : right.policy;
    byId("compare-status").textContent =
      ahead === 0 ? "Both have the same grade." : `${winner} is ahead by ${figure(Math.abs(ahead), 2)} on this seed.`;
  }

  shown() {
    if (this.sides[0].episode === null) this.start();
    else this.lookAt(Number(byId("compare-history").value));
  }

  close() {
    for (const { episode } of this.sides) episode?.close();
  }
}
