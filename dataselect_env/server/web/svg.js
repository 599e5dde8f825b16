// SVG elements, and marks that several charts share.

const NAMESPACE = "http://www.w3.org/2000/svg";

/** Return an SVG element with these attributes and children (elements or text). */
export function svg(name, attributes = {}, ...children) {
  const element = document.createElementNS(NAMESPACE, name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined) element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
}

/** Return an empty chart as wide as its frame, with a text for screen readers. */
export function picture(frame, height, label) {
  const width = Math.max(240, Math.round(frame.clientWidth));
  const root = svg("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": label });
  frame.replaceChildren(root);
  return { root, width, height };
}

/** Return the linear function that maps [from, to] to [start, end]. */
export function scale(from, to, start, end) {
  return (value) => start + ((value - from) / (to - from || 1)) * (end - start);
}

/** Return a text element. */
export function label(x, y, text, attributes = {}) {
  return svg("text", { x, y, ...attributes }, text);
}

/** Return round numbers that divide [from, to] into about `count` parts. */
export function ticks(from, to, count) {
  const rough = (to - from) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough * 0.999);
  const first = Math.ceil(from / step - 1e-9);
  const last = Math.floor(to / step + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, place) => Number(((first + place) * step).toFixed(10)));
}

/** Format a number, with a typographic minus sign. */
export function figure(value, digits = 3) {
  return value.toFixed(digits).replace("-", "\u2212");
}

/** Format a number with an explicit sign. */
export function signed(value, digits = 2) {
  return (value >= 0 ? "+" : "") + figure(value, digits);
}

export function percent(share) {
  return `${Math.round(100 * share)}\u202f%`;
}
