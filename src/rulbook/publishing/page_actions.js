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

// A formula is a stop of the Tab key only where it is wider than its place, to be scrolled by keys.
const stopAtWideFormulas = () =>
  document.querySelectorAll("mjx-container[display='true']").forEach((formula) => {
    if (formula.scrollWidth > formula.clientWidth) formula.setAttribute("tabindex", "0");
    else formula.removeAttribute("tabindex");
  });

let waiting = false;
const tidy = () => {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => {
    waiting = false;
    nameButtons();
    stopAtWideFormulas();
  });
};

new MutationObserver(tidy).observe(document.documentElement, { childList: true, subtree: true });
window.addEventListener("resize", tidy);
tidy();
