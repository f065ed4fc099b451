// The name of a ghost in the picture.
import { settingValues } from "../core/format.js";

// Settings that say nothing about how a run learns; a ghost is not named by them.
const SILENT = ["eval_every", "eval_prompts", "eval_samples", "time_limit", "device"];

// The name of a ghost beside `run`: its method and β, and in a second line, if these are the same, the
// first other setting that differs.
export function ghostName(ghost, run, words) {
  const [name, shown] = [ghost, run].map((one) => methodAndBeta(one, words.methods));
  if (name !== shown) return name;
  const differs = Object.keys(words.settings).find((setting) => (
    !SILENT.includes(setting) && String(ghost.config[setting]) !== String(run.config[setting])
  ));
  return `${name}<br>${differs ? `${words.settings[differs]} ${settingText(ghost.config[differs], words)}` : words.same}`;
}

// The method of a run, with all values of its β.
function methodAndBeta({ config, changes }, methods) {
  const { name } = methods[config.method];
  if (config.beta === null) return name;
  const changed = changes.filter(({ settings }) => "beta" in settings);
  const history = [[0, config.beta], ...changed.map(({ step, settings }) => [step, settings.beta])];
  return `${name} · β ${settingValues(history)}`;
}

function settingText(value, words) {
  if (value === null || value === undefined) return "–";
  if (typeof value === "boolean") return value ? words.yes : words.no;
  return String(value).split("/").at(-1).replaceAll("<", "‹"); // Plotly reads tags in a label
}
