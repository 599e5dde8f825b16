// Helpers that all parts of the page share.

/** Milliseconds between automatic steps; short if the user prefers reduced motion. */
export const PACE = matchMedia("(prefers-reduced-motion: reduce)").matches ? 30 : 450;

export const wait = (time) => new Promise((resolve) => setTimeout(resolve, time));

export const byId = (name) => document.getElementById(name);

/** Return an HTML element with these children (elements, text or numbers). */
export function element(name, ...children) {
  const made = document.createElement(name);
  made.append(...children);
  return made;
}

/** Fill a <tbody> with rows of texts; the first cell of each is its header. */
export function fillTable(body, rows) {
  body.replaceChildren(
    ...rows.map((cells) => {
      const row = element("tr", ...cells.map((text, place) => element(place === 0 ? "th" : "td", text)));
      row.firstChild.scope = "row";
      return row;
    }),
  );
}

/** Fill a <select> with [value, text] pairs, and choose one. */
export function fill(select, options, chosen = select.value) {
  select.replaceChildren(...options.map(([value, text]) => new Option(text, value, value === chosen, value === chosen)));
}

/** Set a slider, its label and its text for screen readers. */
export function setSlider(slider, { min, max, value }, text) {
  if (max !== undefined) Object.assign(slider, { min, max, value });
  slider.setAttribute("aria-valuetext", text);
  slider.closest(".slider").querySelector("output").textContent = text;
}

/** Enable or disable a button that may have the focus, which it keeps. */
export function allow(name, isAllowed) {
  byId(name).setAttribute("aria-disabled", !isAllowed);
}

export const isAllowed = (name) => byId(name).getAttribute("aria-disabled") !== "true";

/** Write a text into the clipboard; select it in `field` where the browser refuses. Return what was done. */
export async function copy(field) {
  const text = field.value ?? field.textContent;
  try {
    await navigator.clipboard.writeText(text);
    return "Copied.";
  } catch {
    getSelection().selectAllChildren(field);
    field.select?.();
    return "Selected; copy it with the keyboard."; // some frames have no clipboard
  }
}

/** Save a text or Blob as a file. */
export function save(name, content) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([content]));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
