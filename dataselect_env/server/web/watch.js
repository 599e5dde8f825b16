// The tab with the list of recent episodes of all clients, newest first; each is a link that watches it.

import { Notice } from "./notice.js";
import { byId, element, fill, wait } from "./page.js";
import { fetchEpisodes } from "./protocol.js";
import { figure, path, scale, svg } from "./svg.js";

const POLL = 3_000; // milliseconds between requests while the newest episodes are shown
const FILTERS = { task_id: "watch-task", agent: "watch-agent", transport: "watch-transport", state: "watch-state" };
const [WIDTH, HEIGHT] = [90, 24];

export class Watch {
  constructor(reference) {
    this.reference = reference;
    this.before = null; // where the part of the list begins that is shown; null for the newest
    this.turn = 0;
    this.notice = new Notice("watch-");
    fill(byId("watch-task"), [["", "all"], ...Object.keys(reference.tasks).map((name) => [name, name])]);
    for (const name of Object.values(FILTERS)) byId(name).addEventListener("change", () => this.turnTo(null));
    byId("newest").addEventListener("click", () => this.turnTo(null));
    byId("older").addEventListener("click", () => this.turnTo(this.following));
  }

  turnTo(before) {
    this.before = before;
    return this.shown();
  }

  /** Show the list, and keep it up to date as long as the tab is shown. */
  async shown() {
    const turn = ++this.turn;
    while (turn === this.turn && !byId("watch").hidden) {
      if (!document.hidden) await this.load(turn);
      if (this.before !== null) return;
      await wait(POLL);
    }
  }

  async load(turn) {
    const filters = Object.entries(FILTERS).map(([name, id]) => [name, byId(id).value]);
    try {
      const { episodes, following } = await fetchEpisodes({ ...Object.fromEntries(filters), before: this.before });
      if (turn !== this.turn) return;
      this.following = following;
      byId("older").hidden = following === null;
      byId("newest").hidden = this.before === null;
      byId("episodes").replaceChildren(...episodes.map((episode) => this.row(episode)));
      const none = this.before === null && following === null ? "No episodes yet." : "None here; look at older ones.";
      this.notice.say(episodes.length ? "" : none);
    } catch (error) {
      if (turn === this.turn) this.notice.fail(error, () => this.shown());
    }
  }

  row(episode) {
    const { episode_id: id, task_id: taskId, score, passed } = episode;
    const link = element("a", id.length > 28 ? `${id.slice(0, 26)}\u2026` : id);
    link.href = `#episode=${encodeURIComponent(id)}`;
    const grade = element("td", score === null ? "running" : `${figure(score, 2)}${passed ? ", passed" : ""}`);
    const task = this.reference.tasks[taskId];
    return element(
      "tr",
      element("td", link),
      element("td", taskId),
      element("td", episode.seed),
      element("td", episode.agent ?? episode.transport),
      element("td", new Date(episode.started_at).toLocaleTimeString()),
      element("td", episode.step_count),
      element("td", task ? sparkline(episode.performances, task) : ""),
      grade,
    );
  }
}

/** Return the performances of an episode as a small picture, on the scale of its task. */
function sparkline(values, task) {
  const [low, high] = task.performance_range;
  const y = scale(Math.min(low, ...values), Math.max(high, ...values), HEIGHT - 2, 2);
  const x = scale(0, Math.max(1, values.length - 1), 2, WIDTH - 2);
  const text = values.length ? `Performance from ${figure(values[0])} to ${figure(values[values.length - 1])}` : "No steps yet";
  const attributes = { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, width: WIDTH, height: HEIGHT, role: "img", "aria-label": text };
  const pass = { class: "pass", x1: 0, x2: WIDTH, y1: y(task.pass_performance), y2: y(task.pass_performance) };
  const points = path(values.map((value, place) => [x(place), y(value)]));
  return svg("svg", attributes, svg("line", pass), svg("polyline", { class: "line", points }));
}
