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
