// Loaded before the widget manager, on pages with widgets.

// Where the manager finds its icon fonts, beside this script: it asks below the addresses that
// require.js gives to its two modules. And where it finds the module of widgets with their own script.
{
  const beside = (name) => new URL(name, document.currentScript.src).href;
  window.requirejs.config({
    paths: {
      "@jupyter-widgets": beside("widgets"),
      "@jupyter-widgets/html-manager/dist": beside("widgets"),
      anywidget: beside("anywidget"),
    },
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

// The manager draws the frames of a stack and does not wait: one that is left before it is drawn
// fails when it is added, or when it is told of its size. Draw one after another, leave out those
// that are passed over meanwhile, and tell nothing to what is gone.
document.addEventListener("DOMContentLoaded", () => {
  window.requirejs(["@jupyter-widgets/base", "@jupyter-widgets/controls"], (base, controls) => {
    const { processMessage } = base.JupyterLuminoWidget.prototype;
    base.JupyterLuminoWidget.prototype.processMessage = function (message) {
      if (this._view) processMessage.call(this, message);
    };
    const drawn = async (view) => {
      await view.turn;
      await view.layoutPromise;
    };
    const change = async ({ children_views, model }) => {
      if (!children_views) return;
      const shown = model.get("children")[model.get("selected_index")];
      await Promise.all((await children_views.update([shown])).map(drawn));
    };
    controls.StackView.prototype.update_children = function () {
      this.turn = Promise.resolve(this.turn).then(() => change(this));
    };
  });
});
