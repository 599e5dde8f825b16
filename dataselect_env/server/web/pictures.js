// Charts as files: their colours come from the style sheet, so each mark takes along what it looks like now.

import { svg } from "./svg.js";

const PAINT = ["fill", "stroke", "stroke-width", "stroke-dasharray", "stroke-linecap", "opacity", "visibility"];
const TEXT = ["font-size", "font-family", "font-weight", "text-anchor"];
const SHARPNESS = 2; // pixels of a PNG for one of the page

const background = () => getComputedStyle(document.querySelector(".card")).backgroundColor;

/** Return a chart as the text of an SVG file. */
export function asSVG(chart) {
  const copy = chart.cloneNode(true);
  const copies = [copy, ...copy.querySelectorAll("*")];
  [chart, ...chart.querySelectorAll("*")].forEach((original, place) => {
    const style = getComputedStyle(original);
    for (const name of original.tagName === "text" ? [...PAINT, ...TEXT] : PAINT) {
      copies[place].setAttribute(name, style.getPropertyValue(name));
    }
    copies[place].removeAttribute("class");
    for (const name of Object.keys(copies[place].dataset)) delete copies[place].dataset[name];
  });
  const [, , width, height] = chart.getAttribute("viewBox").split(" ");
  copy.prepend(svg("rect", { width, height, fill: background() }));
  return new XMLSerializer().serializeToString(copy);
}

/** Return the path of an SVG shape. */
function pathOf(mark) {
  const number = (name) => Number(mark.getAttribute(name) ?? 0);
  const path = new Path2D();
  if (mark.tagName === "path") return new Path2D(mark.getAttribute("d"));
  if (mark.tagName === "circle") path.arc(number("cx"), number("cy"), number("r"), 0, 2 * Math.PI);
  if (mark.tagName === "rect") path.rect(number("x"), number("y"), number("width"), number("height"));
  if (mark.tagName === "line") {
    path.moveTo(number("x1"), number("y1"));
    path.lineTo(number("x2"), number("y2"));
  }
  if (mark.tagName === "polyline" && mark.getAttribute("points")) return new Path2D(`M${mark.getAttribute("points")}`);
  return path;
}

/** Return a chart as a PNG; it is drawn mark by mark, since the page may load no image from elsewhere. */
export function asPNG(chart) {
  const [, , width, height] = chart.getAttribute("viewBox").split(" ").map(Number);
  const canvas = Object.assign(document.createElement("canvas"), { width: SHARPNESS * width, height: SHARPNESS * height });
  const context = canvas.getContext("2d");
  context.scale(SHARPNESS, SHARPNESS);
  context.fillStyle = background();
  context.fillRect(0, 0, width, height);
  const whole = context.getTransform();
  const inverse = chart.getScreenCTM().inverse();
  for (const mark of chart.querySelectorAll("path, circle, rect, line, polyline, text")) {
    const style = getComputedStyle(mark);
    if (style.visibility === "hidden") continue;
    context.setTransform(whole.multiply(inverse.multiply(mark.getScreenCTM())));
    context.globalAlpha = Number(style.opacity) * Number(getComputedStyle(mark.parentNode).opacity);
    context.fillStyle = style.fill;
    context.strokeStyle = style.stroke;
    context.lineWidth = parseFloat(style.strokeWidth);
    context.setLineDash(style.strokeDasharray === "none" ? [] : style.strokeDasharray.split(",").map(parseFloat));
    if (mark.tagName === "text") {
      context.font = `${style.fontWeight} ${style.fontSize} ${style.fontFamily}`;
      context.textAlign = style.textAnchor === "middle" ? "center" : style.textAnchor;
      context.fillText(mark.textContent, Number(mark.getAttribute("x")), Number(mark.getAttribute("y")));
    } else {
      if (style.fill !== "none") context.fill(pathOf(mark));
      if (style.stroke !== "none") context.stroke(pathOf(mark));
    }
  }
  return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
}
