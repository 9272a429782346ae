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

new MutationObserver(nameButtons).observe(document.documentElement, { childList: true, subtree: true });
nameButtons();
