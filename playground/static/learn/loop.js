// The loop of PPO and of DPO on a real token or pair, in four stages. Each press of the button One step
// marks the next stage; after the last one the loop begins again.
import { make } from "../core/dom.js";
import { fill, number, probability, signed } from "../core/format.js";
import * as arithmetic from "./arithmetic.js";
import { drawPrompt } from "./examples.js";

// Method -> stage -> a function that draws it into `host`, from a lesson, at a β, in the stage's words.
const STAGES = {
  ppo: {
    prompt: (host, { token }) => drawPrompt(host, token.prompt),
    text(host, { token: { prompt, tokens, place } }, beta, words) {
      const text = drawPrompt(host, prompt);
      tokens.forEach((token, i) => text.append(i === place ? marked(token, words) : token.text));
    },
    score(host, { token }, beta, words) {
      const { earned, advantage } = arithmetic.ppo(token, beta);
      const numbers = { score: signed(token.score), earned: signed(earned), foreseen: signed(token.value), advantage: signed(advantage) };
      make("p", "", host, fill(words.said, numbers));
    },
    nudge(host, { token: { tokens, place } }, beta, words) {
      const { logp, new_logp } = tokens[place];
      make("p", "", host, fill(new_logp < logp ? words.less : words.more, { token: tokens[place].text.trim() || words.end }));
      drawMove(host, Math.exp(logp), Math.exp(new_logp));
    },
  },
  dpo: {
    pair: (host, { pair }, beta, words) => drawSides(host, pair, words, ({ text }) => pair.prompt + text),
    ratios: (host, { pair }, beta, words) =>
      drawSides(host, pair, words, ({ logp, ref_logp }) => `log π/π_ref = ${signed(logp - ref_logp)}`),
    margin(host, { pair }, beta, words) {
      const { up, down, margin, loss } = arithmetic.dpo(pair, beta);
      make("p", "", host, fill(words.said, { beta, up: number(up), down: number(down), margin: signed(margin), loss: number(loss) }));
    },
    nudge(host, { pair }, beta, words) {
      const weight = number(arithmetic.dpo(pair, beta).weight);
      drawSides(host, pair, words, (text) => (text === pair.chosen ? "▲ " : "▼ ") + weight);
      make("p", "", host, words.said);
    },
  },
};

function marked({ text }, words) {
  const mark = document.createElement("mark");
  mark.textContent = text.trim() || words.end;
  const space = document.createDocumentFragment();
  space.append(" ", mark);
  return space;
}

// The token's probability before and after the update, as a bar that moves from the first to the second.
function drawMove(host, before, after) {
  const bar = make("i", "move", host);
  const most = Math.max(before, after);
  bar.style.setProperty("--before", before / most);
  bar.style.setProperty("--after", after / most);
  make("p", "", host, `${probability(before)} → ${probability(after)}`);
}

function drawSides(host, pair, words, say) {
  for (const side of ["chosen", "rejected"]) {
    const line = make("p", side, host);
    make("small", "", line, words[side]);
    make("span", "", line, say(pair[side]));
  }
}

export const hasLoop = (method) => Object.hasOwn(STAGES, method);

// Lays out the loop of a method, in Learn's words; returns a function that fills it with a lesson at a β.
export function drawLoop(host, method, words) {
  const stages = Object.entries(STAGES[method]);
  const list = make("ol", "", host);
  const items = stages.map(([name]) => {
    const item = make("li", "", list);
    make("strong", "", item, words.loop[method][name].name);
    return { item, body: make("div", "", item) };
  });
  const button = make("button", "", host, words.loop.step);
  let current = 0;

  const mark = () => items.forEach(({ item }, i) => (item.ariaCurrent = i === current ? "step" : null));

  button.type = "button";
  button.onclick = () => {
    current = (current + 1) % stages.length;
    mark();
  };
  list.ariaLabel = words.loop[method].label;
  mark();
  return (lesson, beta) => stages.forEach(([name, draw], i) => {
    items[i].body.replaceChildren();
    draw(items[i].body, lesson, beta, { ...words, ...words.loop[method][name] });
  });
}
