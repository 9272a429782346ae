// K weights that add up to one leave K − 1 to choose; a grid over them grows as a power.

const trainings = (tasks, values) => values ** (tasks - 1);

const view = (el, { tasks, values }) => {
  const state = { tasks, values };
  const growth = panel({
    title: "trainings of a grid by number of tasks",
    x: { range: [1.7, 8.3], ticks: [2, 3, 4, 5, 6, 7, 8] }, xlabel: "tasks K",
    y: { range: [1, 1e10], logarithmic: true, ticks: [1, 100, 1e4, 1e6, 1e8, 1e10] }, ylabel: "trainings",
  });
  const set = (name) => (value) => {
    state[name] = Math.round(value);
    draw();
  };
  const say = layout(el, {
    controls: [
      slider({ label: "tasks K", low: 2, high: 8, value: tasks, ...WHOLE, changed: set("tasks") }).node,
      slider({ label: "values of each weight", low: 2, high: 21, value: values, ...WHOLE, changed: set("values") }).node,
    ],
    drawings: [growth.svg],
    legend: [["trainings of the whole grid", COLOURS.rul, ""]],
  });
  const draw = () => {
    const all = [2, 3, 4, 5, 6, 7, 8].map((k) => [k, trainings(k, state.values)]);
    growth.clear();
    growth.line(all, COLOURS.rul);
    all.forEach(([k, n]) => growth.dot(k, n, k === state.tasks ? COLOURS.health : COLOURS.rul, `${k} tasks: ${number(n)}`, k === state.tasks ? 7 : 4));
    const knobs = state.tasks - 1;
    say(`${state.tasks} tasks have ${knobs} free ${knobs === 1 ? "weight" : "weights"}; a grid of ${state.values} values each ` +
      `has ${trainings(state.tasks, state.values).toLocaleString("en")} trainings.`);
  };
  draw();
};
