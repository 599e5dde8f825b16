// Helpers that all parts of the page share.

/** Milliseconds between automatic steps; short if the user prefers reduced motion. */
export const PACE = matchMedia("(prefers-reduced-motion: reduce)").matches ? 30 : 450;

export const wait = (time) => new Promise((resolve) => setTimeout(resolve, time));

export const byId = (name) => document.getElementById(name);

/** Set a slider, its label and its text for screen readers. */
export function setSlider(name, { min, max, value }, text) {
  const slider = byId(name);
  if (max !== undefined) Object.assign(slider, { min, max, value });
  slider.setAttribute("aria-valuetext", text);
  byId(`${name}-out`).textContent = text;
}
