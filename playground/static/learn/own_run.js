// The numbers of a station, from the visitor's newest run of its method instead of a recorded run.
import { fill, fillRun } from "../core/format.js";

// {lesson, note}: the parts of a lesson that the run replaces, and a sentence on them; without such
// parts, only the sentence, which gives the reason.
export async function ownLesson(task, station, lesson, { words, method_names }, server) {
  try {
    const newest = await server.newest_run({ task, method: station });
    if (!newest) return fill(words.no_run, { method: method_names[station] });
    const { run, token } = newest;
    if (token) return { lesson: { token }, note: tokenNote(run, token, words.own) };
    const [prompt, completions] = textsOf(station, lesson);
    const reply = await server.score({ task, model: run.run, reference: null, prompt, completions });
    if (reply.errors.length) return reply.errors.join(" ");
    return { lesson: scored(station, lesson, reply.answers), note: fillRun(words.own[station], run) };
  } catch {
    return words.lost;
  }
}

function tokenNote(run, token, words) {
  const note = fill(words.ppo, { ...token, run: run.run });
  return token.lam < 1 ? `${note} ${fill(words.lambda, token)}` : note;
}

// The prompt and the completions of a station's example.
function textsOf(station, { demonstration, pair }) {
  if (station !== "sft") return [pair.prompt, [pair.chosen.text, pair.rejected.text]];
  return [demonstration.prompt, [demonstration.tokens.map(({ text }) => text).join("")]];
}

// The example with the run's numbers for its texts.
function scored(station, { demonstration, pair }, [first, second]) {
  if (station !== "sft") {
    return { pair: { ...pair, chosen: { ...pair.chosen, ...first }, rejected: { ...pair.rejected, ...second } } };
  }
  const tokens = first.tokens.map((token) => ({ ...token, before: token.ref_logp }));
  return { demonstration: { prompt: demonstration.prompt, tokens } };
}
