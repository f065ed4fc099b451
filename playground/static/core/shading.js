// What is signed is shaded: blue above zero, orange below, deeper the larger. A part that shades
// has the words for it in props.shading.
const FULL_TOKEN = 2;  // nats
const FULL_REWARD = 4;

// Sets the variables from which samples.css and answers.css mix the background.
function shade(element, value, full, least = 0) {
  const share = Math.min(1, Math.abs(value) / full);
  element.style.setProperty("--tone", value < 0 ? "var(--negative)" : "var(--positive)");
  element.style.setProperty("--depth", `${least + (75 - least) * share}%`);
}

// A reward in nats: kind is "gold" or "proxy"; nothing where there is none.
function addChip(kind, host, reward) {
  if (reward === null || reward === undefined) return;
  const box = make("span", `chip ${kind}`, host);
  box.dataset.tip = props.shading[`${kind}_help`];
  make("span", "name", box, props.shading[kind]);
  make("strong", "", box, page.signed(reward, 1));
  shade(box, reward, FULL_REWARD, 12);
}

// A prompt and what was said to it, shaded where its tokens are known, with its rewards in chips.
function writeText(host, prompt, { text, tokens, gold_reward, proxy_reward }) {
  const said = make("p", "", host);
  make("span", "prompt", said, prompt);
  const completion = make("span", "completion", said, text);
  if (tokens) writeTokens(completion, tokens);
  const chips = make("div", "chips", host);
  addChip("gold", chips, gold_reward);
  addChip("proxy", chips, proxy_reward);
  return chips;
}

// Tokens {text, logp, ref_logp}, shaded by log(π/π_ref); the numbers show on hover and focus. One
// of them is in the tab order, and the arrow keys go from there.
function writeTokens(host, list) {
  host.replaceChildren();
  host.classList.add("tokens");
  const shown = list.map(({ text, logp, ref_logp }, i) => {
    const space = text.trim() ? text.match(/^\s*/)[0] : "";
    host.append(space);
    const token = make("span", "token", host, text.slice(space.length));
    if (text === "" && i === list.length - 1) token.dataset.end = props.shading.end;
    shade(token, logp - ref_logp, FULL_TOKEN);
    token.dataset.tip = page.fill(props.shading.token, {
      ratio: page.signed(logp - ref_logp),
      policy: percent(Math.exp(logp)),
      reference: percent(Math.exp(ref_logp)),
    });
    token.setAttribute("aria-label", `${text.trim() || props.shading.end}: ${token.dataset.tip}`);
    token.setAttribute("role", "img");
    token.tabIndex = -1;
    return token;
  });
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

// A probability, the small ones told apart.
function percent(share) {
  if (share < 1e-4) return "<" + page.percent(1e-4, 2);
  return page.percent(share, share < 0.1 ? 2 : 0);
}
