// The tab that plays an episode by hand, by a policy or from a link.

import { Episode, STOP, selectBatch } from "./episode.js";
import { toFragment } from "./link.js";
import { PACE, byId, setSlider, wait } from "./page.js";
import { startPolicy } from "./policies.js";
import { showResult } from "./result.js";
import { SeedChoice } from "./seeds.js";
import { fillSteps } from "./steps.js";
import { figure, percent } from "./svg.js";
import { EpisodeView, sentence } from "./view.js";

export class Play {
  constructor(reference) {
    this.reference = reference;
    this.episode = null;
    this.step = 0; // the step shown
    this.busy = false;
    this.run = 0; // counts automatic runs; a run ends when the number changes
    this.turn = 0; // counts requests; a result is dropped when the number has changed
    this.seed = new SeedChoice(reference, "");
    this.view = new EpisodeView(byId("play-view"));
    this.batch = Number(byId("batch").value); // the chosen size; the slider is limited by the budget
    this.sliders = Object.fromEntries(reference.strategies.map((name) => [name, byId(name)]));
    this.wire();
    this.tellTask();
    this.tellAction();
    this.tellPolicy();
  }

  wire() {
    const on = (name, event, act) => byId(name).addEventListener(event, act);
    on("setup", "submit", (event) => {
      event.preventDefault();
      this.start();
    });
    on("draw-seed", "click", () => {
      this.seed.draw();
      this.start();
    });
    on("task", "change", () => this.start());
    on("split", "change", () => this.start());
    on("action", "submit", (event) => {
      event.preventDefault();
      this.guarded(() => this.act(selectBatch(Number(byId("batch").value), this.weights())));
    });
    on("batch", "input", () => (this.batch = Number(byId("batch").value)));
    on("action", "input", () => this.tellAction());
    on("stop", "click", () => this.guarded(() => this.act(STOP)));
    on("policy", "change", () => this.tellPolicy());
    on("run", "click", () => (this.running ? this.pause() : this.guarded(() => this.runPolicy())));
    on("history", "input", () => this.lookAt(Number(byId("history").value)));
    on("earlier", "click", () => this.lookAt(this.step - 1));
    on("later", "click", () => this.lookAt(this.step + 1));
    on("rerun", "click", () => this.showFromStart());
    on("see-grade", "click", () => {
      byId("result").scrollIntoView();
      byId("result-title").focus();
    });
    on("copy", "click", () => this.copyLink());
  }

  /** Start the chosen episode; abandon the current one. */
  start() {
    this.pause();
    this.tellTask();
    return this.guarded(async () => {
      const { turn } = this;
      const episode = new Episode(this.reference, byId("task").value, this.seed.read());
      await episode.start();
      if (turn !== this.turn) return episode.close(); // another episode was started meanwhile
      this.episode?.close();
      this.episode = episode;
      this.tellTask(episode.task);
      for (const name of ["result", "see-grade"]) byId(name).hidden = true;
      this.advance();
    }, true);
  }

  /** Play an episode from a link. */
  async replay({ taskId, seed, actions }) {
    byId("task").value = taskId;
    this.seed.set(seed);
    await this.start();
    await this.guarded(() => this.runSteps(actions.map((action) => () => action)));
  }

  /** Let a policy play to the end. */
  runPolicy() {
    const { episode } = this;
    const act = startPolicy(this.reference, byId("policy").value, episode.task, episode.replies);
    return this.runSteps(Array(episode.task.max_steps - episode.steps).fill(act));
  }

  /** Play step after step, each action chosen from the last reply, until the episode is over or paused. */
  async runSteps(choices) {
    const run = ++this.run;
    this.running = true;
    this.enable();
    try {
      for (const choose of choices) {
        if (run !== this.run || this.episode.done) break;
        await this.act(choose(this.episode.last));
        await wait(PACE);
      }
    } finally {
      if (run === this.run) this.running = false;
    }
  }

  pause() {
    this.run += 1;
    this.running = false;
  }

  async act(action) {
    const { episode } = this;
    await episode.step(action);
    try {
      await episode.look();
    } finally {
      if (episode === this.episode) this.advance(); // the step counts, whether or not its samples can be shown
    }
  }

  /** Show the newest step, and the result if it was the last. */
  advance() {
    const { episode } = this;
    this.lookAt(episode.steps);
    byId("status").textContent = sentence(episode, episode.steps);
    fillSteps(byId("steps"), episode);
    if (episode.done) this.finish();
  }

  finish() {
    const { episode } = this;
    byId("status").textContent += ` Grade ${figure(episode.grade.score, 2)}.`;
    for (const name of ["result", "see-grade"]) byId(name).hidden = false;
    if (byId("action").contains(document.activeElement)) byId("see-grade").focus({ preventScroll: true });
    const parts = { score: "score", passed: "passed", breakdown: "breakdown", formula: "formula", ladder: "ladder", ladderNote: "ladder-note" };
    showResult(Object.fromEntries(Object.entries(parts).map(([part, id]) => [part, byId(id)])), episode);
    const link = new URL(location.href);
    link.hash = toFragment(episode, this.reference.strategies);
    byId("link").value = link.href;
  }

  /** Show an earlier step; nothing is undone. */
  lookAt(step) {
    const { episode } = this;
    this.step = Math.max(0, Math.min(step, episode.steps));
    setSlider("history", { min: 0, max: episode.steps, value: this.step }, `${this.step} of ${episode.steps}`);
    const newest = this.step === episode.steps;
    byId("looking").textContent = newest ? "" : `What you see is the past. ${sentence(episode, this.step)}`;
    this.view.show(episode, this.step);
    this.enable();
  }

  async showFromStart() {
    const run = ++this.run;
    for (let step = 0; step <= this.episode.steps; step += 1) {
      this.lookAt(step);
      await wait(PACE);
      if (run !== this.run) return;
    }
  }

  /** Run a task that uses the server, one at a time; show errors in the status line. */
  async guarded(work, always = false) {
    if (this.busy && !always) return;
    const turn = ++this.turn;
    this.busy = true;
    this.enable();
    try {
      await work();
    } catch (error) {
      if (turn === this.turn) byId("status").textContent = error.message;
    } finally {
      if (turn === this.turn) this.busy = false;
      this.enable();
    }
  }

  /** Enable the controls that apply now. */
  enable() {
    const playable = this.episode !== null && !this.episode.done;
    for (const name of ["buy", "stop"]) byId(name).disabled = !playable || this.busy || this.noWeights();
    byId("stop").disabled = !playable || this.busy;
    byId("run").disabled = !playable || (this.busy && !this.running);
    byId("run").textContent = this.running ? "Pause" : "Run to the end";
    byId("earlier").disabled = this.step === 0;
    byId("later").disabled = this.episode === null || this.step === this.episode.steps;
    byId("rerun").disabled = this.episode === null || this.episode.steps === 0 || this.running;
    const least = this.reference.min_batch;
    const most = Math.max(least, this.episode?.last.observation.remaining_budget ?? this.batch);
    Object.assign(byId("batch"), { min: least, max: most, value: this.batch });
    this.tellAction();
  }

  weights() {
    return Object.fromEntries(Object.entries(this.sliders).map(([name, slider]) => [name, Number(slider.value)]));
  }

  noWeights() {
    return Object.values(this.weights()).every((weight) => weight === 0);
  }

  tellAction() {
    const weights = this.weights();
    const total = Object.values(weights).reduce((sum, weight) => sum + weight, 0);
    for (const [name, weight] of Object.entries(weights)) {
      setSlider(name, {}, total ? percent(weight / total) : "0");
    }
    setSlider("batch", {}, `${byId("batch").value} samples`);
    if (!this.busy) byId("buy").disabled = !total || this.episode === null || this.episode.done;
  }

  /** Describe the chosen task, or that of the episode, which may have numbers of its own. */
  tellTask(task = this.reference.tasks[byId("task").value]) {
    const most = task.drawn && !task.statistics ? "at most " : "";
    const said = task.drawn ? "said to be " : "";
    byId("task-text").textContent =
      `${task.summary} ${most}${percent(task.flip_y)} of the labels are ${said}wrong; ` +
      `${most}${task.budget} samples may be bought in ${most}${task.max_steps} steps.` +
      (task.audited ? "" : " Nobody reports which labels of a batch are wrong.");
  }

  tellPolicy() {
    const chosen = byId("policy").value;
    byId("policy-text").textContent = this.reference.policies.find(({ name }) => name === chosen).description;
  }

  async copyLink() {
    const link = byId("link");
    link.select();
    try {
      await navigator.clipboard.writeText(link.value);
      byId("status").textContent = "The link is copied.";
    } catch {
      byId("status").textContent = "The link is selected; copy it with the keyboard."; // some frames have no clipboard
    }
  }

  shown() {
    this.view.draw();
  }

  close() {
    this.episode?.close();
  }
}
