// Explanations on hover, focus or tap: the text stands in the attribute data-tip of an element.

const GAP = 8; // pixels between an element and its explanation

/** Show explanations from now on. */
export function explainOnDemand() {
  const box = document.getElementById("tip");
  let owner = null;

  const hide = () => {
    owner?.removeAttribute("aria-describedby");
    owner = null;
    box.hidden = true;
  };
  const show = (event) => {
    const found = event.target.closest?.("[data-tip]");
    if (!found) return hide();
    if (found === owner) return undefined;
    hide();
    owner = found;
    box.textContent = found.dataset.tip;
    box.hidden = false;
    owner.setAttribute("aria-describedby", "tip");
    const place = found.getBoundingClientRect();
    const [width, height] = [box.offsetWidth, box.offsetHeight];
    const left = Math.min(Math.max(GAP, place.left + place.width / 2 - width / 2), innerWidth - width - GAP);
    const above = place.top - height - GAP;
    Object.assign(box.style, { left: `${left}px`, top: `${above > 0 ? above : place.bottom + GAP}px` });
    return undefined;
  };

  for (const kind of ["pointerover", "focusin", "click"]) addEventListener(kind, show);
  addEventListener("keydown", (event) => event.key === "Escape" && hide());
  addEventListener("scroll", hide, { passive: true, capture: true });
}
