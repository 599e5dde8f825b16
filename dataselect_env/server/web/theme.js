// Light and dark colours: those of the system, or what the user has chosen here.

const NAMES = { "": "Colours: system", light: "Colours: light", dark: "Colours: dark" };
const KEY = "dataselect-theme";

function stored() {
  try {
    return localStorage.getItem(KEY) ?? "";
  } catch {
    return ""; // some frames may not store anything
  }
}

/** Make the button of the colours work. */
export function wireTheme() {
  const button = document.getElementById("theme");
  let chosen = Object.hasOwn(NAMES, stored()) ? stored() : "";
  const apply = () => {
    document.documentElement.dataset.theme = chosen;
    button.textContent = NAMES[chosen];
  };
  button.addEventListener("click", () => {
    const names = Object.keys(NAMES);
    chosen = names[(names.indexOf(chosen) + 1) % names.length];
    apply();
    try {
      localStorage.setItem(KEY, chosen);
    } catch {
      // it holds until the page is left
    }
  });
  apply();
}
