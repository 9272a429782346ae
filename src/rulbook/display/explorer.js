// Names the controls of an explorer, says their values and what the new frame shows: all that the
// widgets leave out.
(() => {
  if (window.rulbookExplorersAreWatched) return;
  window.rulbookExplorersAreWatched = true;

  const nameSlider = (slider) => {
    const handle = slider.querySelector("[role=slider]");
    const readout = slider.querySelector(".widget-readout");
    if (!handle || !readout || handle.hasAttribute("aria-label")) return;
    handle.setAttribute("aria-label", slider.querySelector(".widget-label").textContent);
    readout.removeAttribute("contenteditable");
    readout.setAttribute("aria-hidden", "true");
    const say = () => {
      if (handle.getAttribute("aria-valuetext") !== readout.textContent) {
        handle.setAttribute("aria-valuetext", readout.textContent);
      }
    };
    new MutationObserver(say).observe(readout, { childList: true, characterData: true, subtree: true });
    new MutationObserver(say).observe(handle, { attributeFilter: ["aria-valuetext"] });
    say();
  };

  const nameButtons = (group) => {
    if (group.hasAttribute("role")) return;
    group.setAttribute("role", "group");
    group.setAttribute("aria-label", group.querySelector(".widget-label").textContent);
    const say = () => {
      for (const button of group.querySelectorAll("button")) {
        const pressed = String(button.classList.contains("mod-active"));
        if (button.getAttribute("aria-pressed") !== pressed) {
          button.setAttribute("aria-pressed", pressed);
        }
      }
    };
    new MutationObserver(say).observe(group, { attributeFilter: ["class"], subtree: true });
    say();
  };

  // The frames come and go inside the outermost stack, which stays.
  const announce = (explorer) => explorer.children[1]?.setAttribute("aria-live", "polite");

  const nameControls = () => {
    document.querySelectorAll(".rulbook-explorer .widget-slider").forEach(nameSlider);
    document.querySelectorAll(".rulbook-explorer .widget-toggle-buttons").forEach(nameButtons);
    document.querySelectorAll(".rulbook-explorer").forEach(announce);
  };
  new MutationObserver(nameControls).observe(document.documentElement, { childList: true, subtree: true });
  nameControls();
})();
