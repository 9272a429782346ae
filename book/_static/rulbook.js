// What every page does beside showing itself. Without scripts folds open by hand.

// What stands behind # in the address; as it is where it is no encoding of a text, such as #100%.
function fragment() {
  const raw = location.hash.slice(1);
  try {
    return decodeURIComponent(raw);
  } catch {
    return raw;
  }
}

// A link to something that is folded unfolds it, and the code of the cell that it stands in.
function unfoldTarget() {
  const target = document.getElementById(fragment());
  if (!target?.closest(".bd-article")) return;
  for (let fold = target.closest("details"); fold; fold = fold.parentElement.closest("details")) {
    fold.open = true;
  }
  const closed = target.querySelector(":scope > details.rulbook-section");
  if (closed) closed.open = true;
  for (const code of target.closest(".cell")?.querySelectorAll(":scope > details.hide") ?? []) {
    code.open = true;
  }
  target.scrollIntoView();
}
addEventListener("hashchange", unfoldTarget);
addEventListener("load", unfoldTarget);

// What is wider than its box fades out on the side on which there is more of it.
function markSides(box) {
  const scrolls = getComputedStyle(box).overflowX !== "visible";
  box.classList.toggle("rulbook-more-left", scrolls && box.scrollLeft > 1);
  box.classList.toggle(
    "rulbook-more-right",
    scrolls && box.scrollWidth - box.clientWidth - box.scrollLeft > 1,
  );
}
addEventListener("load", () => {
  // Marks may change sizes: made in the observer's own turn they would be errors of the console.
  const sizes = new ResizeObserver((changes) =>
    requestAnimationFrame(() => changes.forEach(({ target }) => markSides(target))),
  );
  const wide = ".rulbook-scrolling, .bd-article pre, .bd-article div.math";
  for (const box of document.querySelectorAll(wide)) {
    sizes.observe(box);
    box.addEventListener("scroll", () => markSides(box), { passive: true });
  }
});
