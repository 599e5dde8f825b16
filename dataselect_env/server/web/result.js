// The result of an episode: its grade with components, and its rank among the reference policies.

import { drawLadder } from "./charts.js";
import { figure, percent } from "./svg.js";

/** Write the grade of a finished episode into the elements named in `parts`. */
export function showResult(parts, episode) {
  const { grade, task, reference } = episode;
  parts.score.textContent = figure(grade.score, 2);
  parts.score.dataset.value = grade.score;
  parts.passed.textContent = grade.passed ? "passed" : "not passed";
  parts.passed.dataset.holds = grade.passed;
  parts.breakdown.replaceChildren(...rows(grade.breakdown, task));
  parts.formula.textContent = `Score: ${grade.breakdown.score_formula.replaceAll(" x ", " \u00d7 ")}.`;
  const { first_seed: first, last_seed: last, rows: ladder } = reference.ladder;
  parts.ladderNote.textContent = task.pinned
    ? `Mean grades of the reference policies on ${task.task_id}, seeds ${first} to ${last}, with 95 % intervals.`
    : "The grades of the reference policies on this task are not known here; dataselect-env evaluate finds them.";
  drawLadder(parts.ladder, ladder[task.task_id] ?? [], grade.score);
}

function rows(part, task) {
  const entries = [
    ["Performance", figure(part.performance), ""],
    ["Performance score", figure(part.performance_score, 2), weight(task.performance_weight)],
    ["Wrong labels bought", part.avg_noise_ratio === null ? "\u2013" : percent(part.avg_noise_ratio), ""],
    ["Noise score", figure(part.noise_score, 2), weight(task.noise_weight)],
    ["Efficiency", figure(part.efficiency, 2), weight(task.efficiency_weight)],
    ["Budget used", `${part.budget_used} of ${part.budget}`, ""],
  ];
  return entries.map((cells) => {
    const row = document.createElement("tr");
    cells.forEach((text, place) => {
      const cell = document.createElement(place === 0 ? "th" : "td");
      if (place === 0) cell.scope = "row";
      cell.textContent = text;
      row.append(cell);
    });
    return row;
  });
}

function weight(share) {
  return share ? `\u00d7 ${share}` : "not counted";
}
