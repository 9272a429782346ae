// What every page of the book does beside showing itself. Without scripts folds open by hand.

// A link to something that is folded unfolds it, and the code of the cell that it stands in.
function unfoldTarget() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target?.closest(".bd-article")) return;
  for (let fold = target.closest("details"); fold; fold = fold.parentElement.closest("details")) {
    fold.open = true;
  }
  for (const code of target.closest(".cell")?.querySelectorAll(":scope > details.hide") ?? []) {
    code.open = true;
  }
  target.scrollIntoView();
}
addEventListener("hashchange", unfoldTarget);
addEventListener("load", unfoldTarget);
