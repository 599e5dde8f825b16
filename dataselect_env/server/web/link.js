// What the page shows as a URL fragment, so that links, reload and the back button work.
//
//   #task=medium&seed=7&actions=5_1_0_0,13_0_1_0,stop    an episode: task, seed and actions determine it
//   #episode=ID                                          an episode of any client, watched
//   #watch                                               the list of recent episodes
//   #compare&task=medium&first=20000&seeds=10&policies=probing,random
//
// An action is its batch size and its weights, in the order of the strategies; weights at the end may be left out.

import { STOP, selectBatch, strategiesOf } from "./episode.js";

/** Return the fragment, with its #, that reproduces an episode which is played here. */
export function toFragment(episode) {
  const actions = episode.actions.map((action) =>
    action.action_type === "stop"
      ? "stop"
      : [action.batch_size, ...episode.strategies.map((name) => action.strategy_weights[name] ?? 0)].join("_"),
  );
  return `#task=${episode.task.task_id}&seed=${episode.seed}&actions=${actions.join(",")}`;
}

/** Return what a fragment shows: {tab, ...}. Throws an Error with a message for users. */
export function fromFragment(fragment, reference) {
  const fields = new URLSearchParams(fragment.slice(1));
  if (fields.has("episode")) return { tab: "play", episodeId: fields.get("episode") };
  if (fields.has("watch")) return { tab: "watch" };
  if (fields.has("compare")) return { tab: "compare", ...readComparison(fields, reference) };
  if (fields.has("task")) return { tab: "play", ...readEpisode(fields, reference) };
  return { tab: "play" };
}

function readTask(fields, reference) {
  const taskId = fields.get("task");
  if (!Object.hasOwn(reference.tasks, taskId ?? "")) {
    throw new Error(`The link names no task; there are ${Object.keys(reference.tasks).join(", ")}.`);
  }
  return taskId;
}

function readEpisode(fields, reference) {
  const taskId = readTask(fields, reference);
  const task = reference.tasks[taskId];
  const seed = readSeed(fields.get("seed") ?? "", reference);
  const texts = (fields.get("actions") ?? "").split(",").filter((text) => text !== "");
  if (texts.length > task.max_steps) {
    throw new Error(`The link has ${texts.length} actions; ${taskId} has ${task.max_steps} steps.`);
  }
  return { taskId, seed, actions: texts.map((text) => readAction(text, strategiesOf(task, reference))) };
}

/** Parse a seed. Throws an Error that says what is allowed. */
export function readSeed(text, reference) {
  const seed = Number(text);
  if (!/^\d+$/.test(text.trim()) || seed >= reference.seed_limit) {
    throw new Error(`The seed should be a whole number from 0 to ${reference.seed_limit - 1}.`);
  }
  return seed;
}

function readAction(text, strategies) {
  if (text === "stop") return STOP;
  const [size, ...weights] = text.split("_").map(Number);
  const plausible = weights.length >= 3 && weights.length <= strategies.length && weights.every(Number.isFinite);
  if (!Number.isInteger(size) || !plausible) throw new Error(`The link has an action that cannot be read: ${text}`);
  return selectBatch(size, Object.fromEntries(weights.map((weight, place) => [strategies[place], weight])));
}

export const MOST_SEEDS = 50;

/** Return the fragment of a comparison. */
export function toComparison({ taskId, first, seeds, policies }) {
  return `#compare&task=${taskId}&first=${first}&seeds=${seeds}&policies=${policies.join(",")}`;
}

function readComparison(fields, reference) {
  if (!fields.has("task")) return {};
  const seeds = Number(fields.get("seeds"));
  const policies = (fields.get("policies") ?? "").split(",");
  const unknown = policies.find((name) => !reference.policies.some((policy) => policy.name === name));
  if (unknown !== undefined) throw new Error(`The link names an unknown policy: ${unknown}`);
  if (!Number.isInteger(seeds) || seeds < 1 || seeds > MOST_SEEDS) {
    throw new Error(`The number of seeds should be a whole number from 1 to ${MOST_SEEDS}.`);
  }
  return { taskId: readTask(fields, reference), first: readSeed(fields.get("first") ?? "", reference), seeds, policies };
}
