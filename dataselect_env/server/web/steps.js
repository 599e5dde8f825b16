// The episode as a table with the numbers of all charts.

import { spoken } from "./explain.js";
import { figure, signed } from "./svg.js";

const NONE = "\u2013";

/** Fill a table with one row per step. */
export function fillSteps(table, episode) {
  const { strategies, reference } = episode;
  const { reward_terms: terms } = reference;
  const named = terms.map(spoken);
  const titles = ["step", "bought", ...strategies.map(spoken), "wrong labels", "performance", "noise estimate", "reward", ...named];
  table.tHead.replaceChildren(row(titles, "th"));
  table.tBodies[0].replaceChildren(
    ...episode.replies.map(({ step, info, reward, observation }) =>
      row([
        step,
        info?.batch_size ?? NONE,
        ...strategies.map((name) => info?.bought_by[name] ?? NONE),
        info?.mislabelled ?? NONE,
        figure(observation.current_performance),
        figure(observation.noise_estimate),
        reward === null ? NONE : signed(reward),
        ...terms.map((term) => (info && term in info.reward_terms ? signed(info.reward_terms[term]) : NONE)),
      ]),
    ),
  );
}

function row(texts, kind = "td") {
  const line = document.createElement("tr");
  for (const text of texts) {
    const cell = document.createElement(kind);
    if (kind === "th") cell.scope = "col";
    cell.textContent = text;
    line.append(cell);
  }
  return line;
}
