// One episode as the page knows it: what was done, what the server answered, what may be shown of the pool.

import { Connection, fetchPool } from "./protocol.js";

export const STOP = {
  action_type: "stop",
  batch_size: 0,
  strategy_weights: { uncertainty: 0, diversity: 0, random: 1 },
};

/** Return the action that buys. */
export function selectBatch(batchSize, weights) {
  return {
    action_type: "select_batch",
    batch_size: batchSize,
    strategy_weights: { uncertainty: 0, diversity: 0, random: 0, ...weights },
  };
}

export class Episode {
  /** `reference` is reference.json; nothing happens before start(). */
  constructor(reference, taskId, seed) {
    this.reference = reference;
    this.task = reference.tasks[taskId];
    this.seed = seed;
    this.actions = [];
    this.replies = []; // the reply to the reset, then one a step
    this.points = null; // where pool samples lie
    this.purchases = []; // what each step bought, as far as it was looked at
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

  /** The sum of rewards up to a step. */
  returnAt(step) {
    return this.replies.slice(0, step + 1).reduce((sum, reply) => sum + (reply.reward ?? 0), 0);
  }

  /** Samples bought, and how many of them are mislabelled, up to a step. */
  boughtAt(step) {
    const infos = this.replies.slice(1, step + 1).map((reply) => reply.info);
    return {
      bought: infos.reduce((sum, info) => sum + info.batch_size, 0),
      mislabelled: infos.reduce((sum, info) => sum + (info.mislabelled ?? 0), 0),
    };
  }

  async start() {
    this.replies = [await this.connect()];
    try {
      await this.look(true);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Play one action; a connection that was lost is made anew, and the episode with it: it repeats exactly. */
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

  /** Ask what may be shown of the pool by now. */
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
