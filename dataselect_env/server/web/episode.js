// One episode: actions, replies, and the visible part of the pool.

import { Connection, fetchPool } from "./protocol.js";

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

export class Episode {
  /** `reference` is the content of reference.json; start() starts the episode. */
  constructor(reference, taskId, seed) {
    this.reference = reference;
    this.task = reference.tasks[taskId];
    this.seed = seed;
    this.actions = [];
    this.replies = []; // the reply to the reset, then one per step
    this.points = null; // positions of the pool samples
    this.purchases = []; // purchases by step, as far as they were requested
    this.mislabelled = null; // all wrong labels, once the episode is over
  }

  get last() {
    return this.replies[this.replies.length - 1];
  }

  get steps() {
    return this.actions.length;
  }

  get done() {
    return Boolean(this.last?.done);
  }

  get grade() {
    return this.last?.info?.grade ?? null;
  }

  /** Return the sum of rewards up to a step. */
  returnAt(step) {
    return this.replies.slice(0, step + 1).reduce((sum, reply) => sum + (reply.reward ?? 0), 0);
  }

  /** Return the samples bought up to a step, and how many of them are mislabelled. */
  boughtAt(step) {
    const infos = this.replies.slice(1, step + 1).map((reply) => reply.info);
    return {
      bought: infos.reduce((sum, info) => sum + info.batch_size, 0),
      mislabelled: infos.reduce((sum, info) => sum + (info.mislabelled ?? 0), 0),
    };
  }

  async start() {
    this.replies = [await this.connect()];
    this.task = withNumbers(this.task, this.replies[0].problem);
    try {
      await this.look(true);
    } catch (error) {
      this.close();
      throw error;
    }
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

  /** Request the visible part of the pool. */
  async look(points = false) {
    const pool = await fetchPool(this.id, points);
    this.points = pool.points ?? this.points;
    this.purchases = pool.purchases;
    this.mislabelled = pool.mislabelled;
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
