// An episode as a URL fragment: task, seed and actions, which determine it.
//
//   #task=medium&seed=7&actions=5_1_0_0,13_0_1_0,stop
//
// An action is its batch size and its weights of uncertainty, diversity and random.

import { STOP, selectBatch } from "./episode.js";

/** Return the fragment, with its #, that reproduces an episode. */
export function toFragment(episode, strategies) {
  const actions = episode.actions.map((action) =>
    action.action_type === "stop"
      ? "stop"
      : [action.batch_size, ...strategies.map((name) => action.strategy_weights[name])].join("_"),
  );
  return `#task=${episode.task.task_id}&seed=${episode.seed}&actions=${actions.join(",")}`;
}

/** Return {taskId, seed, actions}, or null for a fragment of another kind. Throws an Error with a message for users. */
export function fromFragment(fragment, reference) {
  if (!fragment.startsWith("#task=")) return null;
  const fields = new URLSearchParams(fragment.slice(1));
  const taskId = fields.get("task");
  if (!Object.hasOwn(reference.tasks, taskId ?? "")) {
    throw new Error(`The link names no task; there are ${Object.keys(reference.tasks).join(", ")}.`);
  }
  const seed = readSeed(fields.get("seed") ?? "", reference);
  const texts = (fields.get("actions") ?? "").split(",").filter((text) => text !== "");
  const { max_steps: most } = reference.tasks[taskId];
  if (texts.length > most) throw new Error(`The link has ${texts.length} actions; ${taskId} has ${most} steps.`);
  return { taskId, seed, actions: texts.map((text) => readAction(text, reference.strategies)) };
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
  const plausible = weights.length === strategies.length && weights.every((weight) => Number.isFinite(weight));
  if (!Number.isInteger(size) || !plausible) throw new Error(`The link has an action that cannot be read: ${text}`);
  return selectBatch(size, Object.fromEntries(strategies.map((name, place) => [name, weights[place]])));
}
