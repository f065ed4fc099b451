// What the parts of the page share, ready before any of them: the run that is followed, what is
// looked at, and how numbers and tokens are shown. Parts tell each other by events on the document:
// "playground:run" (the run gained something), "playground:view" (another step or task is looked
// at), "playground:beta" (β was moved), and before it "playground:hand" where the visitor did so,
// "playground:target" (the optimum has answered), "playground:standing" (the server has said whose
// the run is), "playground:story" (what else its curves say), "playground:watch" (show another), "playground:settings" (what all controls say, for
// a link).
window.playground = {
  tasks: {}, // the tasks that are offered, and the reference of each
  methods: {}, // what the scripts need of the record of each method (config/methods.py)
  run: null,
  standing: null, // how the visitor stands to it, and to the line (handlers/train.py)
  task: null, // task and method as the controls say
  method: null,
  beta: null,
  at: null, // the step that is looked at; null is the newest
  target: null, // what the optimum says at the β of the controls, or of a run that is watched
  frontiers: {}, // task -> what the server said of its optimum (frontier.js)
  reference: null, // what the reference says, from its stored samples

  // Whether a method makes a policy, which writes; else it makes a reward model, which scores.
  writes(method) {
    return this.methods[method].makes === "policy";
  },
  // Whether the run still gains something; a recorded one does while it is played.
  moving() {
    return ["starting", "running", "paused"].includes(this.run?.status.name);
  },
  recorded() {
    return this.run?.name.startsWith("recorded/") ?? false;
  },
  live() {
    return this.moving() && !this.recorded();
  },
  // Whether it is another visitor's, and live.
  watching() {
    return this.live() && this.run.name !== this.standing.own;
  },
  // What the stage shows: the live run whatever is chosen, else the last run of the chosen task, or
  // of one that cannot be chosen here.
  view() {
    const task = this.run?.config.task;
    return this.live() || task === this.task || !(task in this.tasks) ? this.run : null;
  },
  // The settings of a run with what was turned while it ran: the newest, or those that made what is
  // looked at. A change counts from the step after it.
  settings(run, at = this.at) {
    const made = run.changes.filter(({ step }) => at === null || step < at);
    return Object.assign({}, run.config, ...made.map(({ settings }) => settings));
  },
  // The newest of a run's samples, or those at the step that is looked at.
  samples(run) {
    return run?.samples.findLast(({ step }) => this.at === null || step <= this.at) ?? null;
  },
  // The newest value of a series, or that at the step that is looked at.
  value(series) {
    return series?.y[this.at === null ? series.y.length - 1 : series.x.findLastIndex((step) => step <= this.at)];
  },
  // What a run has gained on its reference at that step, in nats: as the picture of the trade draws
  // it, where it does.
  gain({ config, series }) {
    const share = this.value(series["eval/gain"]);
    const { reference, whole } = this.frontiers[config.task] ?? {};
    if (share !== undefined && whole !== undefined && config.model === reference) return share * whole;
    return this.value(series["eval/gold_reward"]) - this.value(series["eval/gold_reward_reference"]);
  },
  tell(name, detail) {
    document.dispatchEvent(new CustomEvent(`playground:${name}`, { detail }));
  },

  // A real minus sign, and none before a rounded zero.
  number(value, digits = 2) {
    return value.toFixed(digits).replace(/^-(?=.*[1-9])/, "−").replace("-", "");
  },
  signed(value, digits = 2) {
    const text = this.number(value, digits);
    return text.startsWith("−") || Number(text) === 0 ? text : "+" + text;
  },
  percent(share, digits = 0) {
    return this.number(100 * share, digits) + "%";
  },
  fill(template, values) {
    return template.replace(/\{(\w+)\}/g, (_, name) => values[name]);
  },
};
