// The result of an episode: its grade as a sum, and its place among the reference policies.

import { drawLadder } from "./charts.js";
import { gradeParts, gradeSum, passedText } from "./explain.js";
import { byId, fillTable } from "./page.js";
import { figure, percent } from "./svg.js";

/** Write the grade of a finished episode. */
export function showResult({ grade, task, reference }) {
  byId("score").textContent = figure(grade.score, 2);
  byId("score").dataset.value = grade.score;
  byId("passed").textContent = grade.passed ? "passed" : "not passed";
  byId("passed").dataset.holds = grade.passed;
  const parts = gradeParts(grade, task, reference);
  const rows = parts.map(([name, formula, value, weight]) => [name, formula, figure(value, 2), `\u00d7 ${weight}`]);
  fillTable(byId("breakdown"), rows);
  byId("formula").textContent = gradeSum(parts, grade.score);
  byId("why-passed").textContent = passedText(grade, task);
  const { avg_noise_ratio: noise, budget_used: used, budget } = grade.breakdown;
  const wrong = noise === null ? "" : `, ${percent(noise)} of them with a wrong label`;
  byId("spending").textContent = `Bought ${used} of ${budget} samples${wrong}.`;
  const { first_seed: first, last_seed: last } = reference.ladder;
  byId("ladder-note").textContent = task.pinned
    ? `Mean grades of the reference policies on ${task.task_id}, seeds ${first} to ${last}, with 95 % intervals.`
    : "The grades of the reference policies on this task are not known here; dataselect-env evaluate finds them.";
  drawOwnLadder({ grade, task, reference });
}

/** Draw the ladder as wide as its frame is now. */
export function drawOwnLadder({ grade, task, reference }) {
  drawLadder(byId("ladder"), reference.ladder.rows[task.task_id] ?? [], grade.score);
}
