// The reference policies that the page can play. Constants come from reference.json, which is rendered from
// dataselect_env.policies; the rules below repeat those of that package, and a test compares them.

import { STOP, selectBatch } from "./episode.js";

/** Return the batch size; on tasks that are not pinned an even share of the budget. */
function pace(task, pinned) {
  return task.pinned ? pinned : Math.ceil(task.budget / task.max_steps);
}

const RULES = {
  plateau({ BATCH_SIZE, PATIENCE }, task) {
    let best = 0;
    let waited = 0;
    return (reply) => {
      const performance = reply.observation.current_performance;
      waited = performance > best ? 0 : waited + 1;
      best = Math.max(best, performance);
      return waited >= PATIENCE ? STOP : selectBatch(pace(task, BATCH_SIZE), { random: 1 });
    };
  },

  "noise-rule"({ SAFE_BATCH }, task) {
    return (reply) =>
      selectBatch(SAFE_BATCH, reply.observation.noise_estimate > task.flip_y ? { diversity: 1 } : { uncertainty: 1 });
  },

  probing(constants, task, minBatch) {
    const { PROBE, PROBE_NOISE, LEAVE_NOISE, CLEAN_BATCH, SAFE_BATCH } = constants;
    const noise = [];
    return (reply) => {
      const ratio = reply.info?.noise_ratio ?? null;
      if (ratio !== null) noise.push(ratio);
      const left = reply.observation.remaining_budget;
      if (!task.audited) return selectBatch(pace(task, SAFE_BATCH), { random: 1 });
      if (noise.length === 0) return selectBatch(PROBE, { uncertainty: 1 });
      if (left < minBatch) return STOP;
      const evenShare = Math.ceil(left / (task.max_steps - reply.step));
      if (noise[0] > PROBE_NOISE) return selectBatch(Math.max(SAFE_BATCH, evenShare), { diversity: 1 });
      if (noise.length > 1 && Math.max(...noise) > LEAVE_NOISE) {
        return selectBatch(Math.max(SAFE_BATCH, evenShare), { random: 1 });
      }
      return selectBatch(Math.max(CLEAN_BATCH, evenShare), { uncertainty: 1 });
    };
  },
};

/**
 * Return a policy's function from reply to action, for the rest of an episode that has had these replies so far.
 * The last of them is not shown to it yet: the caller does that.
 */
export function startPolicy(reference, name, task, replies) {
  const { actions } = reference.policies.find((policy) => policy.name === name);
  if (actions !== null) {
    const action = actions[task.task_id];
    if (!action) throw new Error(`${name} is not known for ${task.task_id}; dataselect-env evaluate finds it.`);
    if (!task.drawn || action.action_type === "stop") return () => action;
    return () => ({ ...action, batch_size: pace(task) });
  }
  const act = RULES[name](reference.rule_constants, task, reference.min_batch);
  for (const reply of replies.slice(0, -1)) act(reply);
  return act;
}
