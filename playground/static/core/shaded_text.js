// Shading of signed numbers: blue above zero, orange below, deeper for larger ones.
import { make } from "./dom.js";
import { beforeText, fill, probability, signed } from "./format.js";

const FULL_TOKEN = 2; // nats, from which a token is shaded in full
const FULL_REWARD = 4;

// Sets the CSS variables from which parts.css mixes the background.
export function shade(element, value, full, least = 0) {
  const share = Math.min(1, Math.abs(value) / full);
  element.style.setProperty("--tone", value < 0 ? "var(--negative)" : "var(--positive)");
  element.style.setProperty("--depth", `${least + (75 - least) * share}%`);
}

// Functions that write shaded texts and their rewards, with the page's words.
export function shadedText(words) {
  // Adds a reward in nats, unless it is null; `kind` is "gold" or "proxy".
  function addChip(kind, host, reward) {
    if (reward === null || reward === undefined) return;
    const box = make("span", `chip ${kind}`, host);
    box.dataset.tip = words[`${kind}_help`];
    make("span", "name", box, words[kind]);
    make("strong", "", box, signed(reward, 1));
    shade(box, reward, FULL_REWARD, 12);
  }

  function addRewards(host, { gold_reward, proxy_reward, judged }) {
    if (judged === false) make("span", "chip gold unjudged", host, words.not_judged).dataset.tip = words.not_judged_help;
    else addChip("gold", host, gold_reward);
    addChip("proxy", host, proxy_reward);
  }

  // A prompt and its completion, shaded where the tokens are known, with the rewards in chips.
  function writeText(host, prompt, { text, tokens, ...rewards }) {
    const box = make("p", "", host);
    make("span", "prompt", box, beforeText(prompt, text));
    const completion = make("span", "completion", box, text);
    if (tokens) writeTokens(completion, tokens);
    const chips = make("div", "chips", host);
    addRewards(chips, rewards);
    return chips;
  }

  // Tokens {text, logp, ref_logp}, shaded by log(π/π_ref); the numbers show on hover and focus. One
  // token is in the tab order; the arrow keys move the focus from it to the others.
  function writeTokens(host, tokens) {
    host.replaceChildren();
    host.classList.add("tokens");
    const shown = tokens.map((token, i) => writeToken(host, token, i === tokens.length - 1));
    if (shown.length) shown[0].tabIndex = 0;
    host.onkeydown = (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      const next = shown[shown.indexOf(event.target) + step];
      if (!next) return;
      event.preventDefault();
      event.target.tabIndex = -1;
      next.tabIndex = 0;
      next.focus();
    };
    // A tip opens towards the middle of the text, so that no edge cuts it.
    host.onpointerover = host.onfocusin = ({ target }) =>
      target.classList.toggle("late", target.offsetLeft - host.offsetLeft > host.clientWidth / 2);
  }

  function writeToken(host, { text, logp, ref_logp }, last) {
    const space = text.trim() ? text.match(/^\s*/)[0] : "";
    host.append(space);
    const token = make("span", "token", host, text.slice(space.length));
    if (text === "" && last) token.dataset.end = words.end;
    shade(token, logp - ref_logp, FULL_TOKEN);
    token.dataset.tip = fill(words.token, {
      ratio: signed(logp - ref_logp),
      policy: probability(Math.exp(logp)),
      reference: probability(Math.exp(ref_logp)),
    });
    token.setAttribute("aria-label", `${text.trim() || words.end}: ${token.dataset.tip}`);
    token.setAttribute("role", "img");
    token.tabIndex = -1;
    return token;
  }

  return { addChip, addRewards, writeText, writeTokens };
}
