// What every part of the page needs.

/** Milliseconds between two steps that nobody clicks; short for those who want no motion. */
export const PACE = matchMedia("(prefers-reduced-motion: reduce)").matches ? 30 : 450;

export const wait = (time) => new Promise((resolve) => setTimeout(resolve, time));

export const byId = (name) => document.getElementById(name);

/** Move a slider and write beside it, and for a screen reader, what it stands for. */
export function setSlider(name, { min, max, value }, text) {
  const slider = byId(name);
  if (max !== undefined) Object.assign(slider, { min, max, value });
  slider.setAttribute("aria-valuetext", text);
  byId(`${name}-out`).textContent = text;
}
