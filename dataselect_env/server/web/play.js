// The tab that plays an episode by hand, by a policy or from a link, and watches the episodes of others.

import { showCode } from "./code.js";
import { ActionForm } from "./controls.js";
import { PlayedEpisode, STOP, WatchedEpisode } from "./episode.js";
import { sentence } from "./explain.js";
import { toFragment } from "./link.js";
import { Notice } from "./notice.js";
import { PACE, allow, byId, copy, isAllowed, setSlider, wait } from "./page.js";
import { startPolicy } from "./policies.js";
import { Refusal } from "./protocol.js";
import { drawOwnLadder, showResult } from "./result.js";
import { SeedChoice } from "./seeds.js";
import { fillSteps } from "./steps.js";
import { figure, percent } from "./svg.js";
import { EpisodeView } from "./view.js";
import { Work } from "./work.js";

const POLL = 1_500; // milliseconds between requests for new steps of a watched episode

export class Play {
  constructor(reference) {
    this.reference = reference;
    this.episode = null;
    this.step = 0; // the step shown
    this.run = 0; // counts automatic runs; a run ends when the number changes
    this.notice = new Notice();
    this.work = new Work(this.notice, { onChange: () => this.enable(), onAbandon: () => this.leave() });
    this.seed = new SeedChoice(reference, "");
    this.view = new EpisodeView(byId("play-view"));
    this.view.onLayout = (layout) => this.changeLayout(layout);
    this.form = new ActionForm(reference, () => this.enable());
    this.wire();
    this.tellTask();
    this.tellPolicy();
    this.form.offer(reference.tasks[byId("task").value], NaN);
  }

  wire() {
    const on = (name, event, act) => byId(name).addEventListener(event, act);
    const click = (name, act) => on(name, "click", () => isAllowed(name) && act());
    const submit = (name, act) => on(name, "submit", (event) => (event.preventDefault(), act()));
    submit("setup", () => this.start());
    submit("action", () => isAllowed("buy") && this.work.run((isCurrent) => this.act(this.form.action, isCurrent)));
    click("draw-seed", () => this.seed.draw());
    on("task", "change", () => this.tellTask());
    click("stop", () => this.work.run((isCurrent) => this.act(STOP, isCurrent)));
    on("policy", "change", () => this.tellPolicy());
    click("run", () => (this.running ? this.pause() : this.work.run((isCurrent) => this.runPolicy(isCurrent))));
    on("history", "input", () => this.browse(Number(byId("history").value)));
    click("earlier", () => this.browse(this.step - 1));
    click("later", () => this.browse(this.step + 1));
    click("rerun", () => this.showFromStart());
    click("see-grade", () => {
      byId("result").scrollIntoView();
      byId("result-title").focus();
    });
    click("play-this", () => this.open({ taskId: this.episode.task.task_id, seed: this.episode.seed, actions: [] }, true));
    on("copy", "click", async () => (byId("copied").textContent = await copy(byId("link"))));
    new ResizeObserver(() => this.episode?.grade && drawOwnLadder(this.episode)).observe(byId("ladder"));
  }

  // --- what is shown --------------------------------------------------------------------------------------------------

  /** Return the fragment of what is shown. */
  get place() {
    if (this.episode instanceof WatchedEpisode) return `#episode=${encodeURIComponent(this.episode.id)}`;
    return this.episode === null ? "" : toFragment(this.episode);
  }

  /** Start the chosen episode; abandon the current one. */
  start() {
    return this.open({ taskId: byId("task").value, seed: byId("seed").value, actions: [] }, true);
  }

  /** Start an episode and play these actions at once; `isNew` makes an entry in the browser's history. */
  open({ taskId, seed, actions }, isNew = false) {
    byId("task").value = taskId;
    this.seed.set(seed);
    this.tellTask();
    return this.replace(async (isCurrent) => {
      const episode = new PlayedEpisode(this.reference, taskId, this.seed.read());
      await episode.start();
      if (isCurrent()) this.take(episode);
      for (const action of actions) {
        if (!isCurrent() || episode.done) break;
        await episode.step(action);
      }
      if (!isCurrent()) return episode.close(); // another episode was started meanwhile
      this.record(isNew);
      return this.arrive(episode, true);
    });
  }

  /** Show an episode of any client, and follow it while it runs. */
  async watch(id) {
    await this.replace(async (isCurrent) => {
      const episode = new WatchedEpisode(this.reference, id);
      await episode.start();
      if (!isCurrent()) return;
      byId("task").value = episode.task.task_id;
      if (episode.seed !== null) this.seed.set(episode.seed);
      this.take(episode);
      await this.arrive(episode, true);
      this.follow(episode);
    });
  }

  /** Do work that ends with another episode, in place of any other. */
  replace(work) {
    this.work.abandon();
    return this.work.run((isCurrent) => this.work.answer(work(isCurrent)));
  }

  /** Show another episode. */
  take(episode) {
    this.episode?.close();
    this.episode = episode;
    const watched = episode instanceof WatchedEpisode;
    document.body.dataset.mode = watched ? "watching" : "playing";
    for (const name of ["result", "see-grade"]) byId(name).hidden = true;
    this.view.parts.layout.value = episode.layout;
    this.tellTask(episode.task);
    this.tellWatched();
    this.lookAt(episode.steps);
  }

  /** Keep what is shown in the address, so that links, reload and the back button work. */
  record(isNew = false) {
    if (byId("play").hidden || this.place === location.hash) return;
    history[isNew ? "pushState" : "replaceState"](null, "", this.place);
  }

  /** Load what may be seen of the pool, and show the newest step. */
  async arrive(episode, points = false) {
    try {
      await episode.look(points);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error; // the step counts, whether or not its samples can be shown
      episode.refusal = error.message;
    } finally {
      if (episode === this.episode) this.advance();
    }
  }

  /** Load the new steps of a running episode, until it is over or another one is shown. */
  async follow(episode) {
    while (episode === this.episode && !episode.done) {
      await wait(POLL);
      if (document.hidden || byId("play").hidden) continue;
      try {
        const newest = this.step === episode.steps;
        const hasMore = await episode.refresh();
        if (episode === this.episode && hasMore && newest) await this.arrive(episode);
        else if (episode === this.episode) this.lookAt(this.step);
      } catch (error) {
        if (episode === this.episode) this.notice.fail(error, null);
      }
    }
  }

  async changeLayout(layout) {
    const { episode } = this;
    episode.layout = layout;
    await this.work.run(() => this.arrive(episode, true));
  }

  // --- steps ----------------------------------------------------------------------------------------------------------

  /** Let a policy play until the episode is over or paused; each action is chosen from the last reply. */
  async runPolicy(isCurrent) {
    const { episode } = this;
    const act = startPolicy(this.reference, byId("policy").value, episode.task, episode.replies);
    const run = ++this.run;
    this.running = true;
    this.enable();
    try {
      while (run === this.run && !episode.done) {
        await this.act(act(episode.last), isCurrent);
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

  async act(action, isCurrent) {
    const { episode } = this;
    if (!this.running) this.run += 1; // ends what is shown from the start
    this.notice.say(`Step ${episode.steps + 1} \u2026`, "waiting");
    await this.work.answer(episode.step(action));
    if (!isCurrent()) return;
    this.record();
    await this.arrive(episode);
  }

  /** Show the newest step, and the result if it was the last. */
  advance() {
    const { episode } = this;
    this.lookAt(episode.steps);
    this.notice.say(sentence(episode, episode.steps));
    fillSteps(byId("steps"), episode);
    showCode(episode);
    if (episode.done) this.finish();
  }

  finish() {
    const { episode } = this;
    this.notice.say(`${byId("status").textContent} Grade ${figure(episode.grade.score, 2)}.`);
    for (const name of ["result", "see-grade"]) byId(name).hidden = false;
    showResult(episode);
    byId("link").value = new URL(this.place, document.baseURI).href;
    byId("copied").textContent = "";
  }

  /** Show a step that the user has chosen; what plays by itself stops. */
  browse(step) {
    if (!this.running) this.run += 1;
    this.lookAt(step);
  }

  /** Show an earlier step; nothing is undone. */
  lookAt(step) {
    const { episode } = this;
    this.step = Math.max(0, Math.min(step, episode.steps));
    setSlider(byId("history"), { min: 0, max: episode.steps, value: this.step }, `${this.step} of ${episode.steps}`);
    const newest = this.step === episode.steps;
    byId("looking").textContent = newest ? "" : `What you see is the past. ${sentence(episode, this.step)}`;
    this.view.show(episode, this.step);
    this.enable();
  }

  async showFromStart() {
    const run = ++this.run;
    for (let step = 0; step <= this.episode.steps && run === this.run; step += 1) {
      this.lookAt(step);
      await wait(PACE);
    }
  }

  /** Stop what plays by itself, and close the connection: an episode that goes on is replayed on another one. */
  leave() {
    this.pause();
    this.episode?.close();
  }

  /** Enable the controls that apply now. */
  enable() {
    const { episode } = this;
    const playable = episode !== null && !episode.done && episode instanceof PlayedEpisode;
    allow("buy", playable && !this.work.busy && this.form.hasWeights);
    allow("stop", playable && !this.work.busy);
    allow("run", playable && (!this.work.busy || this.running));
    byId("run").textContent = this.running ? "Pause" : "Run to the end";
    allow("earlier", this.step > 0);
    allow("later", episode !== null && this.step < episode.steps);
    allow("rerun", episode !== null && episode.steps > 0 && !this.running);
    if (playable) this.form.offer(episode.task, episode.last.observation.remaining_budget);
  }

  // --- texts ----------------------------------------------------------------------------------------------------------

  /** Describe the chosen task, or that of the episode, which may have numbers of its own. */
  tellTask(task = this.reference.tasks[byId("task").value]) {
    const most = task.drawn && !task.statistics ? "at most " : "";
    const said = task.drawn ? "said to be " : "";
    byId("task-text").textContent =
      `${task.summary} ${most}${percent(task.flip_y)} of the labels are ${said}wrong; ` +
      `${most}${task.budget} samples may be bought in ${most}${task.max_steps} steps.` +
      (task.audited ? "" : " Nobody reports which labels of a batch are wrong.");
  }

  tellWatched() {
    const { shown } = this.episode;
    if (!shown) return;
    const where = shown.seed === null ? `index ${shown.index} of the sealed split` : `seed ${shown.seed}`;
    const by = shown.agent === null ? "" : `, played by ${shown.agent}`;
    byId("watched-text").textContent = `${shown.episode_id}: ${shown.task_id}, ${where}, over ${shown.transport}${by}.`;
    byId("play-this").hidden = shown.seed === null;
    byId("watched-note").textContent = shown.not_replayed ?? "";
  }

  tellPolicy() {
    const chosen = byId("policy").value;
    byId("policy-text").textContent = this.reference.policies.find(({ name }) => name === chosen).description;
  }

  close() {
    this.work.abandon();
  }
}
