// One episode: actions, replies, and the visible part of the pool. It is played here, or watched while others play it.

import { Connection, fetchEpisode, fetchPool } from "./protocol.js";

export const STOP = {
  action_type: "stop",
  batch_size: 0,
  strategy_weights: { uncertainty: 0, diversity: 0, random: 1 },
};

/** Return an action that buys a batch. */
export function selectBatch(batchSize, weights) {
  return {
    action_type: "select_batch",
    batch_size: batchSize,
    strategy_weights: { uncertainty: 0, diversity: 0, random: 0, ...weights },
  };
}

/** Return a task with the numbers of the problem that the reply to a reset describes, if it does. */
function withNumbers(task, problem) {
  if (!problem) return task;
  const { declared_noise_rate: rate, ...numbers } = problem;
  return { ...task, ...numbers, flip_y: rate };
}

/** Return the query strategies that a task offers, in the order in which they pick. */
export function strategiesOf(task, reference) {
  return task.strategies ?? [...reference.strategies, ...task.extra_strategies];
}

/** What every episode has; subclasses fill `replies`: the one to the reset, then one per step. */
class Episode {
  constructor(reference, task) {
    this.reference = reference;
    this.task = task;
    this.actions = [];
    this.replies = [];
    this.layout = "components"; // what the positions are: see scatter.js
    this.points = null; // positions of the pool samples that are drawn
    this.sample = null; // their indices, where the pool is too large to draw all
    this.purchases = []; // purchases by step, as far as they may be shown
    this.mislabelled = null; // all wrong labels, once the episode is over
    this.accuracies = null; // on the validation samples by step, once the episode is over
  }

  get last() {
    return this.replies[this.replies.length - 1];
  }

  get steps() {
    return this.replies.length - 1;
  }

  get done() {
    return Boolean(this.last?.done);
  }

  get strategies() {
    return strategiesOf(this.task, this.reference);
  }

  /** Return the sum of rewards up to a step. */
  returnAt(step) {
    return this.replies.slice(0, step + 1).reduce((sum, reply) => sum + (reply.reward ?? 0), 0);
  }

  /** Return the samples bought up to a step, how many of them are mislabelled, and how many each strategy chose. */
  boughtAt(step) {
    const infos = this.replies.slice(1, step + 1).map((reply) => reply.info);
    const sum = (value) => infos.reduce((total, info) => total + (value(info) ?? 0), 0);
    return {
      bought: sum((info) => info.batch_size),
      mislabelled: sum((info) => info.mislabelled),
      by: Object.fromEntries(this.strategies.map((name) => [name, sum((info) => info.bought_by[name])])),
    };
  }

  /** Request the visible part of the pool. */
  async look(points = false) {
    const { layout } = this;
    const pool = await fetchPool(this.id, { points, layout });
    if (points) Object.assign(this, { points: pool.points, sample: pool.sample, layout });
    this.purchases = pool.purchases ?? [];
    this.mislabelled = pool.mislabelled;
    this.accuracies = pool.accuracies;
  }

  close() {}
}

/** An episode that this page plays; start() starts it. */
export class PlayedEpisode extends Episode {
  constructor(reference, taskId, seed) {
    super(reference, reference.tasks[taskId]);
    this.seed = seed;
  }

  get grade() {
    return this.last?.info?.grade ?? null;
  }

  async start() {
    this.replies = [await this.connect()];
    this.task = withNumbers(this.task, this.replies[0].problem);
  }

  /** Play one action. After a lost connection the episode is replayed on a new one; replays are exact. */
  async step(action) {
    if (!this.connection.alive) {
      await this.connect();
      for (const earlier of this.actions) await this.connection.request("step", earlier);
    }
    const reply = await this.connection.request("step", action);
    this.actions.push(action);
    this.replies.push(reply);
    if (reply.done) this.close();
    return reply;
  }

  close() {
    this.connection?.close();
  }

  async connect() {
    this.connection = await Connection.open();
    this.id = this.reference.demonstration_prefix + crypto.getRandomValues(new Uint32Array(4)).join("-");
    return this.connection.request("reset", { task_id: this.task.task_id, seed: this.seed, episode_id: this.id });
  }
}

const UNKNOWN = { remaining_budget: NaN, diversity_score: NaN, noise_estimate: NaN, samples_available: NaN };

/** An episode that any client plays or has played; start() loads it, refresh() loads its new steps. */
export class WatchedEpisode extends Episode {
  constructor(reference, id) {
    super(reference, null);
    this.id = id;
  }

  async start() {
    await this.refresh();
  }

  /** Load the steps so far; return whether there are new ones. */
  async refresh() {
    const before = this.replies.length;
    const shown = await fetchEpisode(this.id);
    const task = this.reference.tasks[shown.task_id];
    if (!task) throw new Error(`This server does not have the task ${shown.task_id} any more.`);
    this.task = withNumbers(task, shown.problem);
    this.shown = shown;
    this.seed = shown.seed;
    const { score, passed, breakdown } = shown;
    this.grade = shown.done ? { score, passed, breakdown } : null;
    this.actions = shown.steps.filter(({ action }) => action !== null).map(({ action }) => action);
    const replies = shown.steps.map((step) => this.reply(step));
    this.replies = shown.not_replayed === null ? replies : [this.reply({ step: 0, performance: NaN }), ...replies];
    return this.replies.length > before;
  }

  /** Return a step in the form of a reply; what the server cannot replay is left open. */
  reply({ step, reward = null, done = false, observation, info, performance, bought, mislabelled }) {
    const told = { reward_terms: {}, batch_size: bought, bought_by: {}, mislabelled, redundancy: null, end_reason: null };
    return {
      step,
      reward,
      done,
      observation: observation ?? { ...UNKNOWN, current_performance: performance },
      info: step === 0 ? null : (info ?? told),
    };
  }
}
