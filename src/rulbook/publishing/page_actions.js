// What buttons of the theme do: their pages allow no script in an attribute.
const ACTIONS = {
  "window.print()": () => window.print(),
  "toggleFullScreen()": () => window.toggleFullScreen(),
};

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-action]");
  if (button && Object.hasOwn(ACTIONS, button.dataset.action)) {
    ACTIONS[button.dataset.action]();
  }
});

// Names for the buttons that scripts of the theme add without one, or all with the same.
const named = (selector, name) =>
  document.querySelectorAll(selector).forEach((button, index) => {
    if (!button.dataset.named) {
      button.dataset.named = "";
      button.setAttribute("aria-label", name(button, index + 1));
    }
  });

const nameButtons = () => {
  named("button.copybtn", (_, number) => `Copy block ${number} of code`);
  named(".admonition > .admonition-title > button.toggle-button", (button, number) => {
    const title = button.parentElement.firstChild.textContent.trim();
    return `${title}, fold ${number}`;
  });
};

// Formulas and tables are stops of the Tab key only where they are wider than their place, to be
// scrolled by keys. Tables are stops everywhere before this runs, and so without scripts.
const stopAtWhatScrolls = () =>
  document.querySelectorAll("mjx-container[display='true'], .rulbook-scrolling").forEach((box) => {
    [box, ...box.children].forEach((part) => sizes.observe(part));
    if (box.scrollWidth > box.clientWidth) box.setAttribute("tabindex", "0");
    else box.removeAttribute("tabindex");
  });

let waiting = false;
const tidy = () => {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => {
    waiting = false;
    nameButtons();
    stopAtWhatScrolls();
  });
};

// Fonts and styles that come late change how wide things are, and so do folds that open and rows
// that a filter hides.
const sizes = new ResizeObserver(tidy);
const WATCHED = { childList: true, subtree: true, attributeFilter: ["open", "hidden"] };
new MutationObserver(tidy).observe(document.documentElement, WATCHED);
window.addEventListener("resize", tidy);
tidy();
