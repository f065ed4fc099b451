// Scenes of texts: the question, samples of the SFT model, and simulated votes.
import { make } from "../core/dom.js";
import { fill, percent } from "../core/format.js";
import { shadedText } from "../core/shaded_text.js";
import { pair } from "../learn/arithmetic.js";

const VOTE_MS = 12; // from one vote to the next
const SHOWN = 4; // texts that SFT writes at a time

// Two texts, whose rewards are shown after the visitor has chosen one.
export function question(host, { prompt, texts }, words, all) {
  const { writeText, addRewards } = shadedText(all.words.shading);
  const both = make("div", "pair", host);
  const verdict = make("p", "verdict", host);
  verdict.setAttribute("role", "status");
  const choices = texts.map(({ text }) => {
    const choice = make("button", "samples", both);
    choice.type = "button";
    return { choice, chips: writeText(choice, prompt, { text }) };
  });
  choices.forEach(({ choice }, i) => {
    choice.onclick = () => {
      choices.forEach(({ choice: other, chips }, j) => {
        other.setAttribute("aria-pressed", String(i === j));
        chips.replaceChildren();
        addRewards(chips, texts[j]);
      });
      const { share } = pair({ chosen: texts[i], rejected: texts[1 - i] }, "gold_reward");
      verdict.textContent = fill(words.agree, { share: percent(share, 1) });
    };
  });
}

// Stored samples of the SFT model for one prompt, a few at a time.
export function sft(host, { prompt, texts }, words, all) {
  const { writeText } = shadedText(all.words.shading);
  const list = make("div", "drawn", host);
  let first = -SHOWN;
  function write() {
    first = (first + SHOWN) % texts.length;
    list.replaceChildren();
    for (const text of texts.slice(first, first + SHOWN)) {
      writeText(make("section", "samples", list), prompt, text);
    }
  }
  addAct(host, words.act, write);
  write();
}

// A pair of texts, with a dot for every simulated vote.
export function votes(host, pairs, words, all) {
  const { writeText } = shadedText(all.words.shading);
  const both = make("div", "pair", host);
  let shown = -1;
  function next() {
    shown = (shown + 1) % pairs.length;
    const { prompt, texts, votes: cast } = pairs[shown];
    both.replaceChildren();
    texts.forEach((text, i) => {
      const box = make("section", "samples", both);
      writeText(box, prompt, text);
      const dots = make("div", "dots", box);
      const turns = [...cast.keys()].filter((turn) => cast[turn] === i);
      for (const turn of turns) {
        const timing = { delay: turn * VOTE_MS, duration: 200, fill: "backwards" };
        make("i", "", dots).animate({ opacity: [0, 1] }, timing);
      }
      make("p", "", box, fill(words.votes, { votes: turns.length, n: cast.length }));
    });
  }
  addAct(host, words.act, next);
  next();
}

// The button of a scene.
export function addAct(host, label, press) {
  const act = make("button", "act", host, label);
  act.type = "button";
  act.onclick = press;
}
