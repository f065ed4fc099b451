// The page of a recorded run: its pictures and texts at a step, and the optimum at a β, which most
// methods seek as a softmax over stored samples of the reference. Texts of the run are only set as
// textContent.
{
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const [words, data] = [read("words"), read("data")];
  const { config, points, samples, optimum } = data;
  const find = (selector) => document.querySelector(selector);
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`);
  const fill = (template, values) => template.replace(/\{(\w+)\}/g, (_, name) => values[name]);
  const number = (value, digits = 2) => value.toFixed(digits).replace(/^-(?=.*[1-9])/, "−").replace("-", "");
  const signed = (value, digits = 2) => (Number(value.toFixed(digits)) > 0 ? "+" : "") + number(value, digits);
  const plain = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;"); // Plotly reads tags

  const steps = samples.length ? samples.map((one) => one.step) : [...new Set(Object.values(points).flat().map(([step]) => step))].sort((a, b) => a - b);
  let at = Math.max(0, steps.length - 1); // the index in `steps` of the step that is shown
  let prompt = 0;
  let betaIndex = optimum ? nearest(optimum.betas, config.beta ?? 0) : 0; // in `betas`
  let timer = null;

  function nearest(values, value) {
    return values.reduce((best, one, i) => (Math.abs(one - value) < Math.abs(values[best] - value) ? i : best), 0);
  }

  // π* ∝ π_ref·exp(r/β) for one prompt, from its different rewards and how often each was sampled:
  // {reward, kl, samples (1/Σw²), quantile: the reward that a share of it does not exceed}.
  function atBeta([rewards, counts], beta, share) {
    const best = rewards.at(-1);
    const weights = rewards.map((reward) => Math.exp((reward - best) / beta));
    const sum = (term) => rewards.reduce((total, _, i) => total + counts[i] * term(i), 0);
    const total = sum((i) => weights[i]);
    const reward = sum((i) => weights[i] * rewards[i]) / total;
    const kl = Math.max(0, (reward - best) / beta - Math.log(total / sum(() => 1)));
    let below = 0;
    const quantile = rewards.find((_, i) => (below += counts[i] * weights[i]) >= share * total) ?? best;
    return { reward, kl, samples: total ** 2 / sum((i) => weights[i] ** 2), quantile };
  }

  const mean = (values) => values.reduce((total, value) => total + value, 0) / values.length;
  const reference = optimum && mean(optimum.rewards.map((one) => atBeta(one, 1e9, 0.5).reward));

  // The optimum that the method seeks; null for one that the stored samples do not give.
  function target() {
    const beta = optimum.betas[betaIndex];
    if (optimum.sought !== "kl") return optimum.points && { beta, ...optimum.points[betaIndex] };
    const all = optimum.rewards.map((one) => atBeta(one, beta, optimum.quantile));
    const [reward, kl, effective] = ["reward", "kl", "samples"].map((key) => mean(all.map((one) => one[key])));
    return { beta, kl, gain: reward - reference, known: effective >= 100, quantiles: all.map((one) => one.quantile) };
  }

  function pointsAt(metric) {
    const step = steps[at] ?? 0;
    return (points[metric] ?? []).filter(([measured]) => measured <= step);
  }

  function trail() {
    if (!optimum.starts_there) return [];
    const gains = new Map(pointsAt("eval/gain"));
    return pointsAt("eval/kl").filter(([step]) => gains.has(step)).map(([step, kl]) => [step, kl, gains.get(step) * optimum.full_gain]);
  }

  const options = { displayModeBar: false, responsive: true };
  const axis = () => ({ gridcolor: colour("hairline"), zerolinecolor: colour("muted"), automargin: true });
  const layout = (more) => ({
    showlegend: false, font: { family: getComputedStyle(document.body).fontFamily, size: 14, color: colour("muted") },
    paper_bgcolor: colour("card"), plot_bgcolor: colour("card"), margin: { l: 46, r: 12, t: 24, b: 42 }, ...more,
  });

  function drawTrade(aim) {
    const run = trail();
    const hover = words.hover;
    const [x, y] = [run.map(([, kl]) => kl), run.map(([, , gain]) => gain)];
    const near = (points["eval/kl"] ?? []).map(([, kl]) => kl).filter((kl) => kl <= 8);
    const right = Math.max(2.6, ...near.map((kl) => 1.1 * kl));
    const top = Math.max(...optimum.curve.map(([, gain]) => gain));
    const lowest = (points["eval/gain"] ?? []).map(([, share]) => share * optimum.full_gain);
    const diamond = { symbol: aim?.known ? "diamond" : "diamond-open", size: 17, color: colour("gold") };
    Plotly.react(find(".trade .plot"), [
      { x: optimum.curve.map(([kl]) => kl), y: optimum.curve.map(([, gain]) => gain), mode: "lines", fill: "tozeroy", fillcolor: colour("reach"), line: { color: colour("muted"), width: 3 }, hovertemplate: `${words.limit}<br>${hover}<extra></extra>` },
      { x: optimum.best_of.map(([, kl]) => kl), y: optimum.best_of.map(([, , gain]) => gain), text: optimum.best_of.map(([n]) => fill(words.best_of, { n })), mode: "markers", marker: { size: 7, symbol: "x-thin", line: { width: 2, color: colour("muted") } }, hovertemplate: `%{text}<br>${hover}<extra></extra>` },
      { x, y, text: run.map(([step]) => fill(words.step, { step })), mode: "lines+markers", line: { color: colour("policy"), width: 3 }, marker: { size: run.map((_, i) => (i === run.length - 1 ? 15 : 6)), opacity: 1 }, hovertemplate: `%{text}<br>${hover}<extra></extra>` },
      { x: aim ? [aim.kl] : [], y: aim ? [aim.gain] : [], text: [`β ${aim?.beta}`], mode: "markers+text", textposition: "top left", textfont: { size: 16, color: colour("gold") }, marker: diamond, hovertemplate: `${hover}<extra></extra>` },
    ], layout({
      xaxis: { ...axis(), title: { text: words.x, standoff: 6, font: { size: 14 } }, range: [-0.02 * right, right] },
      yaxis: { ...axis(), range: [Math.min(-0.08 * top, ...lowest.map((gain) => gain - 0.3)), 1.2 * top] },
      annotations: [
        { xref: "paper", yref: "paper", x: 1, y: 1, xanchor: "right", yanchor: "bottom", showarrow: false, text: words.limit },
        { x: 0, y: 0, xanchor: "left", yanchor: "top", yshift: -4, showarrow: false, text: words.reference },
      ],
    }), options);
    find(".beta").hidden = !aim;
    const last = run.at(-1);
    const sentences = last ? [fill(words.policy_at, { kl: number(last[1]), gain: signed(last[2]) })] : [];
    if (aim) {
      find(".beta span").textContent = `β ${aim.beta}`;
      find(".beta input").setAttribute("aria-valuetext", `β ${aim.beta}`);
      sentences.unshift(fill(words.target, { beta: aim.beta, kl: number(aim.kl), gain: signed(aim.gain) }));
      if (!aim.known) sentences.push(words.unsure);
    }
    if (optimum.sought in words.sought) sentences.push(words.sought[optimum.sought]);
    find(".stands").textContent = sentences.join(" ");
    find(".trade .plot").setAttribute("aria-label", `${words.trade}. ${find(".stands").textContent}`);
  }

  function drawTexts(aim) {
    const rows = samples[at]?.rows ?? [];
    find(".texts").hidden = !rows.length;
    if (!rows.length) return;
    const row = rows[prompt];
    find(".turn span").textContent = fill(words.place, { place: prompt + 1, n: rows.length });
    write(".reference", row.prompt, row.reference);
    write(".policy", row.prompt, row.policy);
    const stored = aim && optimum.sought === "kl" && optimum.texts[row.prompt];
    find(".side.optimum").hidden = !stored;
    if (!stored) return;
    const quantile = aim.quantiles[Object.keys(optimum.texts).indexOf(row.prompt)];
    const [gold_reward, text] = stored[nearest(stored.map(([reward]) => reward), quantile)];
    write(".optimum", row.prompt, { text, gold_reward });
  }

  function write(side, promptText, { text, gold_reward, proxy_reward, kl }) {
    const line = find(`.side${side} p`);
    line.replaceChildren();
    line.appendChild(document.createElement("span")).className = "prompt";
    // An answer to a question has no space of its own.
    line.firstChild.textContent = /^\S/.test(text) && /\S$/.test(promptText) ? `${promptText} ` : promptText;
    line.append(text);
    const rewards = [["gold", gold_reward], ["proxy", proxy_reward], ["kl", kl]].filter(([, value]) => Number.isFinite(value));
    find(`.side${side} small`).textContent = rewards.map(([name, value]) => `${words.sides[name]} ${name === "kl" ? number(value, 1) : signed(value, 1)}`).join(" · ");
  }

  const partColours = ["policy", "gold", "proxy", "kl", "loss"];
  const parts = { id: "parts", range: "normal", curves: data.parts.map((metric, i) => ({ metric, colour: partColours[i % 5], dash: ["solid", "dash", "dot"][i % 3] })) };
  const nameOf = (metric) => words.metrics[metric] ?? metric.replace(/^reward\//, "");
  const cards = [...(data.parts.length ? [parts] : []), ...data.charts]
    .map((chart) => ({ ...chart, curves: chart.curves.filter(({ metric }) => points[metric]?.length) }))
    .filter(({ curves }) => curves.length)
    .map((chart) => {
      const box = find(".charts").appendChild(document.createElement("section"));
      const title = words.titles[chart.id] ?? chart.id;
      box.appendChild(document.createElement("h2")).textContent = title;
      const legend = box.appendChild(document.createElement("div"));
      legend.className = "legend";
      for (const { metric, colour: name, dash } of chart.curves) {
        const mark = legend.appendChild(document.createElement("span"));
        mark.className = dash;
        mark.style.setProperty("--line", `var(--${name})`);
        mark.textContent = nameOf(metric);
      }
      const plot = box.appendChild(document.createElement("div"));
      plot.className = "plot";
      plot.setAttribute("role", "img");
      return { ...chart, plot, title };
    });

  function drawChart({ curves, range, plot, title }) {
    const share = curves[0].metric.endsWith("accuracy") || curves[0].metric.endsWith("accuracies");
    const step = steps[at];
    const shapes = [{ type: "line", yref: "paper", x0: step, x1: step, y0: 0, y1: 1, line: { color: colour("policy"), width: 2 } }];
    for (const { step: turned } of data.changes) shapes.push({ ...shapes[0], x0: turned, x1: turned, line: { color: colour("muted"), width: 1.5, dash: "dash" } });
    const traces = curves.map(({ metric, colour: name, dash }) => ({
      x: points[metric].map(([at]) => at), y: points[metric].map(([, value]) => value), name: plain(nameOf(metric)),
      mode: points[metric].length > 60 ? "lines" : "lines+markers", line: { color: colour(name), width: 3, dash }, marker: { size: 6 },
    }));
    Plotly.react(plot, traces, layout({
      margin: { l: 46, r: 12, t: 8, b: 36 }, hovermode: "x unified", shapes,
      xaxis: { ...axis(), title: { text: words.axis, standoff: 4, font: { size: 14 } }, range: [-0.02 * config.steps, 1.02 * config.steps], nticks: 5 },
      yaxis: { ...axis(), zeroline: false, rangemode: range, tickformat: share ? "~%" : "", nticks: 6 },
    }), options);
    const last = curves.map(({ metric }) => `${nameOf(metric)} ${number(pointsAt(metric).at(-1)?.[1] ?? NaN)}`);
    plot.setAttribute("aria-label", `${title}: ${last.join(", ")}`);
  }

  function draw() {
    const aim = optimum && target();
    if (optimum) drawTrade(aim);
    drawTexts(aim);
    for (const card of cards) drawChart(card);
    find(".steps").value = at;
    find(".steps").setAttribute("aria-valuetext", fill(words.step, { step: steps[at] }));
    find(".step").textContent = fill(words.step_of, { step: steps[at] ?? 0, steps: config.steps });
  }

  function play() {
    clearInterval(timer);
    const plays = timer === null;
    timer = null;
    if (plays) {
      if (at === steps.length - 1) at = 0;
      timer = setInterval(() => {
        at += 1;
        if (at >= steps.length - 1) play();
        draw();
      }, 700);
      draw();
    }
    find(".play").textContent = plays ? words.pause : words.play;
  }

  function turn(by) {
    const count = samples[at].rows.length;
    prompt = (prompt + by + count) % count;
    draw();
  }

  const { method, task, beta, seed } = config;
  find("h1").textContent = fill(beta === null ? words.heading_without_beta : words.heading, { method: words.methods[method] ?? method, task: words.tasks[task] ?? task, beta, seed, steps: config.steps });
  find(".run").textContent = data.name;
  find(".trade h2").textContent = words.trade;
  for (const side of ["reference", "policy", "optimum"]) find(`.side.${side} b`).textContent = words.sides[side];
  find(".trade").hidden = !optimum;
  find("main").classList.toggle("plain", !optimum || !samples.length);
  find(".play").textContent = words.play;
  find(".play").onclick = play;
  find(".bar").hidden = steps.length < 2;
  Object.assign(find(".steps"), { max: steps.length - 1, ariaLabel: words.steps, oninput: ({ target: { value } }) => { at = Number(value); draw(); } });
  Object.assign(find(".before"), { ariaLabel: words.before, onclick: () => turn(-1) });
  Object.assign(find(".after"), { ariaLabel: words.after, onclick: () => turn(1) });
  if (optimum) Object.assign(find(".beta input"), { max: optimum.betas.length - 1, value: betaIndex, oninput: ({ target: { value } }) => { betaIndex = Number(value); draw(); } });
  draw();
}
