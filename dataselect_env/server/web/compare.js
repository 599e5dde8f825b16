// The tab where policies play the same seeds: overlaid curves, grades by seed, paired differences.

import { drawCurves, drawStrips } from "./compare_charts.js";
import { PlayedEpisode } from "./episode.js";
import { MOST_SEEDS, readSeed, toComparison, toFragment } from "./link.js";
import { Notice } from "./notice.js";
import { byId, element, fillTable } from "./page.js";
import { startPolicy } from "./policies.js";
import { SeedChoice } from "./seeds.js";
import { mean } from "./statistics.js";
import { figure, hue, shape, signed, svg } from "./svg.js";

const TOGETHER = 4; // episodes that are played at the same time
const FIRST_CHOICE = ["probing", "random", "uncertainty"];

export class Compare {
  constructor(reference) {
    this.reference = reference;
    this.seed = new SeedChoice(reference, "compare-");
    this.seed.follow();
    this.notice = new Notice("compare-");
    this.shownChoice = null; // what the results are of
    this.results = [];
    this.run = 0;
    byId("compare-policies").append(
      ...reference.policies.map(({ name }) => {
        const box = Object.assign(document.createElement("input"), { type: "checkbox", value: name });
        box.checked = FIRST_CHOICE.includes(name);
        return element("label", box, ` ${name}`);
      }),
    );
    byId("compare-setup").addEventListener("submit", (event) => {
      event.preventDefault();
      this.attempt(() => this.start(this.choice));
    });
    byId("compare-draw").addEventListener("click", () => this.seed.draw());
    byId("compare-stop").addEventListener("click", () => this.stop());
    new ResizeObserver(() => this.draw()).observe(byId("curves"));
  }

  /** Return what is chosen in the form. Throws an Error that says what is missing. */
  get choice() {
    const seeds = Number(byId("compare-seeds").value);
    const policies = [...byId("compare-policies").querySelectorAll(":checked")].map(({ value }) => value);
    if (policies.length === 0) throw new Error("Choose at least one policy.");
    if (!Number.isInteger(seeds) || seeds < 1 || seeds > MOST_SEEDS) {
      throw new Error(`The number of seeds should be a whole number from 1 to ${MOST_SEEDS}.`);
    }
    return { taskId: byId("compare-task").value, first: readSeed(byId("compare-seed").value, this.reference), seeds, policies };
  }

  /** Show a comparison that a link describes; an empty one changes nothing. */
  open({ taskId, first, seeds, policies }) {
    if (taskId === undefined) return;
    byId("compare-task").value = taskId;
    this.seed.set(first);
    byId("compare-seeds").value = seeds;
    for (const box of byId("compare-policies").querySelectorAll("input")) box.checked = policies.includes(box.value);
    const isShown = this.shownChoice !== null && toComparison(this.shownChoice) === location.hash;
    if (!isShown) this.attempt(() => this.start({ taskId, first, seeds, policies }));
  }

  async start(choice) {
    this.shownChoice = choice;
    this.results = [];
    history.replaceState(null, "", toComparison(choice));
    this.draw();
    await this.play();
  }

  /** Play what has no result yet, some episodes at a time. */
  async play() {
    const { taskId, first, seeds, policies } = this.shownChoice;
    const run = ++this.run;
    byId("compare-stop").hidden = false;
    const range = Array.from({ length: seeds }, (_, place) => first + place);
    const isPlayed = (seed, policy) => this.results.some((one) => one.seed === seed && one.policy === policy);
    const jobs = range.flatMap((seed) => policies.map((policy) => [seed, policy])).filter((job) => !isPlayed(...job));
    const work = async () => {
      while (run === this.run && jobs.length) {
        const [seed, policy] = jobs.shift();
        const result = await this.playOne(taskId, seed, policy);
        if (run !== this.run) return;
        this.results.push(result);
        this.notice.say(`${this.results.length} of ${seeds * policies.length} episodes \u2026`, "waiting");
        requestAnimationFrame(() => this.draw());
      }
    };
    await Promise.all(Array.from({ length: TOGETHER }, work));
    if (run === this.run) this.conclude();
  }

  async playOne(taskId, seed, policy) {
    const episode = new PlayedEpisode(this.reference, taskId, seed);
    const retry = () => this.attempt(() => this.play());
    try {
      await this.notice.patient(episode.start(), retry);
      const act = startPolicy(this.reference, policy, episode.task, episode.replies);
      while (!episode.done) await this.notice.patient(episode.step(act(episode.last)), retry);
    } finally {
      episode.close();
    }
    const curve = episode.replies.map(({ observation }, step) => [episode.boughtAt(step).bought, observation.current_performance]);
    const { score, passed } = episode.grade;
    return { seed, policy, score, passed, curve, link: toFragment(episode) };
  }

  /** Do work of this tab; show errors in its status line. */
  async attempt(work) {
    try {
      await work();
    } catch (error) {
      this.run += 1;
      byId("compare-stop").hidden = true;
      this.notice.fail(error, () => this.attempt(() => this.play()));
    }
  }

  stop() {
    this.run += 1;
    this.conclude();
  }

  conclude() {
    const { policies } = this.shownChoice;
    byId("compare-stop").hidden = true;
    this.draw();
    const best = policies.map((policy) => [policy, mean(this.scores(policy)).middle]).sort((one, other) => other[1] - one[1]);
    this.notice.say(this.results.length ? `${best[0][0]} has the highest mean grade, ${figure(best[0][1], 2)}.` : "Stopped.");
  }

  scores(policy) {
    return this.results.filter((one) => one.policy === policy).map(({ score }) => score);
  }

  /** Return the differences to the first policy, on the seeds that both have played. */
  differences(policy) {
    const scores = new Map(this.results.filter((one) => one.policy === this.shownChoice.policies[0]).map(({ seed, score }) => [seed, score]));
    return this.results.filter((one) => one.policy === policy && scores.has(one.seed)).map(({ seed, score }) => score - scores.get(seed));
  }

  draw() {
    if (this.shownChoice === null) return;
    byId("compare-results").hidden = false;
    if (byId("curves").clientWidth === 0) return; // the tab is not shown
    const { taskId, first, seeds, policies } = this.shownChoice;
    byId("compare-title").textContent = `${taskId}, seed${seeds > 1 ? `s ${first} to ${first + seeds - 1}` : ` ${first}`}`;
    drawCurves(byId("curves"), policies, this.results, this.reference.tasks[taskId]);
    drawStrips(byId("strips"), policies, this.results);
    byId("difference-head").textContent = `difference to ${policies[0]}, seed by seed`;
    fillTable(byId("comparison"), policies.map((policy, place) => this.row(policy, place)));
    this.fillSeeds(Array.from({ length: seeds }, (_, place) => first + place), policies);
  }

  row(policy, place) {
    const own = this.results.filter((one) => one.policy === policy);
    const grades = mean(own.map(({ score }) => score));
    const paired = mean(this.differences(policy));
    const key = svg("svg", { class: `shape ${hue(place)}`, viewBox: "-7 -7 14 14", "aria-hidden": true }, svg("path", { d: shape(place, 5) }));
    const difference = place === 0 ? "\u2013" : `${signed(paired.middle)} \u00b1 ${figure(paired.half, 2)}`;
    const passed = `${own.filter((one) => one.passed).length} of ${own.length}`;
    return [element("span", key, ` ${policy}`), `${figure(grades.middle, 2)} \u00b1 ${figure(grades.half, 2)}`, passed, difference];
  }

  /** Fill the table of grades by seed; each grade links to its episode. */
  fillSeeds(seeds, policies) {
    byId("seeds-head").replaceChildren(...["seed", ...policies].map((text) => Object.assign(element("th", text), { scope: "col" })));
    const cell = (seed, policy) => {
      const one = this.results.find((result) => result.seed === seed && result.policy === policy);
      return one ? Object.assign(element("a", figure(one.score, 2)), { href: one.link }) : "";
    };
    fillTable(byId("seeds-table"), seeds.map((seed) => [seed, ...policies.map((policy) => cell(seed, policy))]));
  }

  /** Return the fragment of what is shown. */
  get place() {
    return this.shownChoice === null ? "#compare" : toComparison(this.shownChoice);
  }

  close() {
    this.run += 1;
  }
}
