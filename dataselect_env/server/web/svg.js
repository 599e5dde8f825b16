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

/** Return the points of a polyline. */
export function path(points) {
  return points.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join(" ");
}

const SHAPES = [
  (r) => `M${-r} 0a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0z`, // circle
  (r) => `M${-0.88 * r} ${-0.88 * r}h${1.76 * r}v${1.76 * r}h${-1.76 * r}z`, // square
  (r) => `M0 ${-1.2 * r}L${1.1 * r} ${0.8 * r}H${-1.1 * r}z`, // triangle
  (r) => `M0 ${-1.25 * r}L${1.25 * r} 0L0 ${1.25 * r}L${-1.25 * r} 0z`, // diamond
  (r) => `M0 ${1.2 * r}L${1.1 * r} ${-0.8 * r}H${-1.1 * r}z`, // triangle, upside down
];

/** Return the outline of the shape that belongs to a place among strategies or policies, around (0, 0). */
export function shape(place, r) {
  return SHAPES[place % SHAPES.length](r);
}

/** Return the class that gives the colour of a place among strategies or policies. */
export function hue(place) {
  return `hue-${place % 8}`;
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

/** Format a number, with a typographic minus sign; an unknown one as a dash. */
export function figure(value, digits = 3) {
  return Number.isFinite(value) ? value.toFixed(digits).replace("-", "\u2212") : "\u2013";
}

/** Format a number with an explicit sign. */
export function signed(value, digits = 2) {
  return (value >= 0 ? "+" : "") + figure(value, digits);
}

export function percent(share) {
  return `${Math.round(100 * share)}\u202f%`;
}
