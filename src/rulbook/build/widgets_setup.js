// Loaded before the widget manager, on pages with widgets.

// Where the manager finds its icon fonts: beside this script. It asks below the addresses that
// require.js gives to its two modules.
{
  const widgets = new URL("widgets", document.currentScript.src).href;
  window.requirejs.config({
    paths: { "@jupyter-widgets": widgets, "@jupyter-widgets/html-manager/dist": widgets },
  });
}

// The manager typesets labels through the queue of MathJax 2. Give MathJax 3 that queue, both as
// the configuration that stands in for it while the page loads and as itself afterwards.
{
  const typeset = (element) => {
    if (document.readyState === "complete") {
      window.MathJax.startup.promise.then(() => window.MathJax.typesetPromise([element]));
    } else {
      window.addEventListener("load", () => typeset(element), { once: true });
    }
  };
  const withQueue = (mathJax) =>
    Object.assign(mathJax, { Hub: { Queue: ([, , element]) => typeset(element) } });
  let current = window.MathJax && withQueue(window.MathJax);
  Object.defineProperty(window, "MathJax", {
    configurable: true,
    get: () => current,
    set: (mathJax) => {
      current = withQueue(mathJax);
    },
  });
}
