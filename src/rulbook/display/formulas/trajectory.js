// One shared number θ under two losses with opposing optima (§12.4): the course of SGD and of Adam.

const fixedPoint = (rho) => (rho - 1) / (rho + 1);
const stabilityLimit = (rho) => 2 / (rho + 1);
const rulLoss = (rho, theta) => 0.5 * rho * (theta - 1) ** 2;
const healthLoss = (theta) => 0.5 * (theta + 1) ** 2;

/** θ after each step from 0, with PyTorch's default settings of Adam. */
const course = (rho, rate, optimiser, steps) => {
  const path = [];
  let [theta, mean, square] = [0, 0, 0];
  for (let step = 1; step <= steps; step += 1) {
    const gradient = rho * (theta - 1) + (theta + 1);
    mean = 0.9 * mean + 0.1 * gradient;
    square = 0.999 * square + 0.001 * gradient ** 2;
    const moved = optimiser === "sgd"
      ? gradient
      : mean / (1 - 0.9 ** step) / (Math.sqrt(square / (1 - 0.999 ** step)) + 1e-8);
    theta -= rate * moved;
    path.push(theta);
  }
  return path;
};

const view = (el, { rho, rate, steps }) => {
  const state = { rho, rate, shown: steps, timer: null };
  const decades = (low, high) => Array.from({ length: high - low + 1 }, (_, i) => 10 ** (low + i));
  const stepAxis = { range: [0, steps], ticks: [0, steps / 4, steps / 2, (3 * steps) / 4, steps] };
  const place = panel({
    title: "θ by step under SGD and Adam", x: stepAxis, xlabel: "step", ylabel: "θ",
    y: { range: [-1.6, 2.6], ticks: [-1, 0, 1, 2] },
  });
  const losses = panel({
    title: "RUL loss and health loss by step", x: stepAxis, xlabel: "step", ylabel: "loss",
    y: { range: [1e-4, 1e4], logarithmic: true, ticks: decades(-4, 4).filter((_, i) => i % 2 === 0) },
  });
  const map = panel({
    title: "learning rate against ρ, with the stability limit of SGD",
    x: { range: [1, 1000], logarithmic: true, ticks: decades(0, 3) }, xlabel: "ρ",
    y: { range: [1e-4, 1], logarithmic: true, ticks: decades(-4, 0) }, ylabel: "learning rate",
  });
  const moved = (change) => {
    Object.assign(state, change, { shown: steps });
    stop();
    draw();
  };
  const ratio = slider({ label: "ρ", low: 1, high: 1000, value: rho, logarithmic: true, changed: (v) => moved({ rho: v }) });
  const speed = slider({ label: "learning rate", low: 1e-4, high: 1, value: rate, logarithmic: true, changed: (v) => moved({ rate: v }) });
  const reached = slider({
    label: "steps", low: 1, high: steps, value: steps, ...WHOLE,
    changed: (v) => {
      state.shown = Math.round(v);
      draw();
    },
  });
  const stop = () => {
    clearInterval(state.timer);
    state.timer = null;
    play.textContent = "Play";
  };
  const pause = () => {
    if (!state.timer) return;
    stop();
    draw();
  };
  const play = button("Play", () => {
    if (state.timer) {
      pause();
      return;
    }
    if (state.shown >= steps) state.shown = 0;
    play.textContent = "Pause";
    state.timer = setInterval(() => {
      state.shown += 1;
      if (state.shown >= steps || !el.isConnected) stop();
      draw();
    }, 40);
  });
  const say = layout(el, {
    controls: [ratio.node, speed.node, reached.node, play],
    drawings: [place.svg, losses.svg, map.svg],
    legend: [
      ["SGD", COLOURS.health, "6 3"], ["Adam", COLOURS.rul, ""], ["θ*, where the sum is least", COLOURS.both, "2 3"],
      ["stability limit of SGD", COLOURS.limit, ""], ["RUL loss wide, health loss thin", "currentColor", ""],
    ],
  });
  const draw = (hovered = null) => {
    const paths = { sgd: course(state.rho, state.rate, "sgd", steps), adam: course(state.rho, state.rate, "adam", steps) };
    const goal = fixedPoint(state.rho);
    const limit = stabilityLimit(state.rho);
    const styles = { sgd: [COLOURS.health, "6 3"], adam: [COLOURS.rul, ""] };
    [place, losses, map].forEach((each) => each.clear());
    place.line([[0, goal], [steps, goal]], COLOURS.both, { dash: "2 3" });
    for (const [name, path] of Object.entries(paths)) {
      const [colour, dash] = styles[name];
      const left = path.findIndex((theta) => Math.abs(theta) > 9);
      const seen = [0, ...path].slice(0, Math.min(state.shown, left < 0 ? steps : left + 1) + 1);
      place.line(seen.map((theta, step) => [step, theta]), colour, { dash });
      losses.line(seen.map((theta, step) => [step, rulLoss(state.rho, theta)]), colour, { dash, wide: 2.4 });
      losses.line(seen.map((theta, step) => [step, healthLoss(theta)]), colour, { dash, wide: 1.1 });
    }
    const ratios = Array.from({ length: 61 }, (_, i) => 10 ** (i / 20));
    map.line(ratios.map((r) => [r, stabilityLimit(r)]), COLOURS.limit, { wide: 2.4 });
    map.write(1.3, 0.0003, "below the line SGD settles", "currentColor");
    map.dot(state.rho, state.rate, state.rate < limit ? COLOURS.both : COLOURS.limit,
      `ρ ${number(state.rho)}, learning rate ${number(state.rate)}`);
    const step = hovered ?? Math.max(state.shown, 1);
    reached.set(Math.max(state.shown, 1));
    if (hovered !== null) {
      for (const each of [place, losses]) each.line([[step, 1e-5], [step, 1e5]], "currentColor", { wide: 0.7 });
      place.line([[step, -2], [step, 3]], "currentColor", { wide: 0.7 });
    }
    const told = (name, label) => {
      const theta = paths[name][step - 1];
      if (!(Math.abs(theta) < 1e6)) return `${label} has diverged`;
      return `${label} θ ${number(theta)}, RUL loss ${number(rulLoss(state.rho, theta))}, health loss ${number(healthLoss(theta))}`;
    };
    const verdict = state.rate < limit ? "below" : "at or above";
    // What changes many times a second is not read out: only where it comes to rest.
    say(`After ${step} ${step === 1 ? "step" : "steps"}: ${told("sgd", "SGD")}; ${told("adam", "Adam")}. ` +
      `θ* is ${number(goal)}. The rate is ${verdict} the limit of SGD, 2/(ρ + 1) = ${number(limit)}.`,
    { aloud: hovered === null && !state.timer });
  };
  reached.node.addEventListener("focusin", pause);
  for (const each of [place, losses]) {
    each.svg.addEventListener("pointermove", (event) => {
      const step = Math.round(each.at(event)[0]);
      if (step >= 1 && step <= steps) draw(step);
    });
    each.svg.addEventListener("pointerleave", () => draw());
  }
  // Not pointerdown: a finger that is put down to scroll fires it, and so does the right button.
  map.svg.addEventListener("click", (event) => {
    const [r, lr] = map.at(event);
    if (r < 1 || r > 1000 || lr < 1e-4 || lr > 1) return;
    ratio.set(r);
    speed.set(lr);
    moved({ rho: r, rate: lr });
  });
  draw();
  return stop;
};
