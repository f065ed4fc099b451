// The stations of the Learn view: each has its equations, the lines with numbers, the drawing of its
// example, and the numbers at a β with sentences about them.
import { number, probability } from "../core/format.js";
import * as arithmetic from "./arithmetic.js";
import { fraction, row } from "./equations.js";
import { drawCosts, drawGroups, drawLikelihoods, drawOptimum, drawPair, drawPrompt, drawRollout } from "./examples.js";

export const betaText = (beta) => String(Number(beta.toPrecision(3)));

const likelihoodRatio = (answer) => fraction(`π_θ ( y_${answer} | x )`, `π_ref ( y_${answer} | x )`);

function rewards({ chosen, rejected }, reward) {
  return { chosen: chosen[reward], rejected: rejected[reward], ...arithmetic.pair({ chosen, rejected }, reward) };
}

// `addChip` is from shaded_text.js; `recalculate()` is called after a change of a reward in an
// example.
export function stationsOf(words, addChip, recalculate) {
  const goldChip = (host, { gold_reward }) => addChip("gold", host, gold_reward);
  const proxyChip = (host, { proxy_reward }) => addChip("proxy", host, proxy_reward);
  return {
    sft: {
      equations: () => [row("L = − Σ_t log π_θ ( y_t | x , y_<t )")],
      lines: ["− log π_pretrained = {*before}", "− log π_SFT = {*after}", "{after} / {count} ≈ {*mean}"],
      example(host, { demonstration }) {
        drawPrompt(host, demonstration.prompt);
        drawCosts(host, demonstration, words);
      },
      numbers: ({ demonstration }) => (
        { ...arithmetic.sft(demonstration), count: String(demonstration.tokens.length) }
      ),
      note: ({ demonstration }) => sharpening(demonstration),
    },
    preferences: {
      equations: () => [row("P ( y_w ≻ y_l | x ) = σ ( r ( x , y_w ) − r ( x , y_l ) )")],
      lines: ["{chosen} − {(rejected)} ≈ {*difference}", "P = σ ( {difference} ) ≈ {*share}"],
      example: (host, { pair }) => drawPair(host, pair, words, goldChip),
      numbers: ({ pair }) => rewards(pair, "gold_reward"),
    },
    reward: {
      equations: () => [row("L = − log σ ( r_φ ( x , y_w ) − r_φ ( x , y_l ) )")],
      lines: ["{chosen} − {(rejected)} ≈ {*difference}", "σ ( {difference} ) ≈ {*share}", "L = − log {share} ≈ {*loss}"],
      example: (host, { pair }) => drawPair(host, pair, words, proxyChip),
      numbers: ({ pair }) => rewards(pair, "proxy_reward"),
    },
    ppo: {
      equations: () => [
        row("max_π E [ r ( x , y ) ] − β KL ( π ‖ π_ref )"),
        row("r_t = − β ( log π_old ( y_t ) − log π_ref ( y_t ) )"),
        row("ρ =", fraction("π_θ ( y_t )", "π_old ( y_t )")),
        row("min ( ρ A , clip ( ρ , 1 − ε , 1 + ε ) A )"),
      ],
      lines: [
        "− {beta} · ( {logp} − {(ref_logp)} ) ≈ {*paid}",
        "{score} − {beta} · {(ahead)} ≈ {*earned}",
        "A = ( {earned} − {(value)} − {(mean)} ) / {spread} ≈ {*advantage}",
        "ρ = exp ( {new_logp} − {(logp)} ) ≈ {*ratio}",
        "min ( {ratio} · {(advantage)} , {held} · {(advantage)} ) ≈ {*objective}",
      ],
      example: (host, { token }) => drawRollout(host, token, words),
      numbers({ token }, beta) {
        const { tokens, place, score, value } = token;
        return { ...tokens[place], score, value, beta: betaText(beta), ...arithmetic.ppo(token, beta) };
      },
      verdict: ({ clipped, against }) => (clipped ? "clipped" : against ? "against" : "free"),
      note: ({ token }) => token,
    },
    groups: {
      equations: () => [
        row("A_RLOO = r_i −", fraction("1", "G − 1"), "Σ_j≠i r_j"),
        row("A_GRPO =", fraction("r_i − mean ( r )", "std ( r )")),
      ],
      lines: [
        "( {r0} + {(r1)} + {(r2)} + {(r3)} ) / 4 ≈ {*mean}",
        "std ( r ) = {*spread}",
        "( {r1} + {(r2)} + {(r3)} ) / 3 ≈ {*others}",
        "A_RLOO = {r0} − {(others)} ≈ {*rloo}",
        "A_GRPO = ( {r0} − {(mean)} ) / {spread} ≈ {*grpo}",
      ],
      example: (host, { groups }) => drawGroups(host, groups, words, recalculate),
      numbers: ({ groups }) => groupNumbers(groups),
      verdict: ({ equal }) => (equal ? "equal" : "divided"),
      note: () => ({}),
    },
    dpo: {
      // From the optimum, solved for r, to the loss: β log Z is the same for both texts, and cancels.
      equations: () => [
        row("π* ( y | x ) =", fraction("1", "Z ( x )"), "π_ref ( y | x ) exp ( r ( x , y ) / β )"),
        row("r ( x , y ) = β log", fraction("π* ( y | x )", "π_ref ( y | x )"), "+ β log Z ( x )"),
        row("r_w − r_l = β log", likelihoodRatio("w"), "− β log", likelihoodRatio("l")),
        row("L = − log σ ( r_w − r_l )"),
      ],
      lines: [
        "r_w − β log Z = {beta} · {(up)} ≈ {*chosen}",
        "r_l − β log Z = {beta} · {(down)} ≈ {*rejected}",
        "r_w − r_l = {chosen} − {(rejected)} ≈ {*margin}",
        "L = − log σ ( {margin} ) ≈ {*loss}",
        "β σ ( − margin ) ≈ {*weight}",
      ],
      example(host, { pair }) {
        drawPair(host, pair, words);
        drawLikelihoods(host, pair, words);
      },
      numbers: ({ pair }, beta) => ({ beta: betaText(beta), ...arithmetic.dpo(pair, beta) }),
      verdict: ({ up, down }) => (up === 0 && down === 0 ? "same" : up < 0 && up > down ? "both" : null),
      note: ({ pair }) => pair,
    },
    limited: {
      equations: () => [
        row("h =", fraction("1", "T_w"), "log", likelihoodRatio("w"), "−", fraction("1", "T_l"), "log", likelihoodRatio("l")),
        row("L_IPO = ( h −", fraction("1", "2 β"), ")²"),
        row("L_w = 1 − σ ( β ( log", likelihoodRatio("w"), "− z_0 ) )"),
        row("L_l = 1 − σ ( β ( z_0 − log", likelihoodRatio("l"), ") )"),
      ],
      lines: [
        "h = {up} / {chosen_length} − {(down)} / {rejected_length} ≈ {*apart}",
        "1 / ( 2 · {beta} ) ≈ {*aim}",
        "L_IPO = ( {apart} − {aim} )² ≈ {*ipo}",
        "L_w = 1 − σ ( {beta} · ( {up} − {kl} ) ) ≈ {*kto_chosen}",
        "L_l = 1 − σ ( {beta} · ( {kl} − {(down)} ) ) ≈ {*kto_rejected}",
      ],
      example(host, { pair }) {
        drawPair(host, pair, words);
        drawLikelihoods(host, pair, words);
      },
      numbers: ({ pair }, beta) => limitedNumbers(pair, beta),
      verdict: ({ apart, aim }) => (apart > aim ? "together" : "apart"),
      note: ({ pair }) => ({ ...pair, kl: number(pair.kl) }),
    },
    optimum: {
      equations: () => [row("π* ( y | x ) =", fraction("1", "Z ( x )"), "π_ref ( y | x ) exp ( r ( x , y ) / β )")],
      lines: [
        "exp ( {reward} / {beta} ) / Z ≈ {*factor}",
        "β log Z ≈ {*bar}",
        "( {reward} − {(bar)} ) / {beta} ≈ {*ratio}",
      ],
      example: (host, { optimum }) => drawOptimum(host, optimum, goldChip),
      numbers: ({ optimum }, beta) => optimumNumbers(optimum, beta),
      verdict: ({ below }) => (below ? "below_bar" : null),
      note: ({ optimum }) => optimum,
    },
  };
}

// How the sharpened reference differs from SFT's model: the cost of this demonstration, and means
// over held-out prompts (align_core/build/sharpness.py).
function sharpening({ tokens, effect }) {
  const { pretrained, sft, reference, kl } = effect;
  return {
    cost: number(-tokens.reduce((sum, { sharpened }) => sum + sharpened, 0)),
    before_cost: number(pretrained.cost),
    sft_cost: number(sft.cost),
    reference_cost: number(reference.cost),
    spoilt: String(Math.round(100 * (1 - sft.whole))),
    gold: number(sft.gold),
    reference_gold: number(reference.gold),
    entropy: number(sft.entropy),
    reference_entropy: number(reference.entropy),
    kl: number(kl),
  };
}

// The lines' numbers are those of the first text of the first group. `below` has for each group the
// advantage that GRPO gives a text whose reward is one nat above the mean: 1 / standard deviation.
function groupNumbers(groups) {
  const values = { below: {} };
  const [first, ...others] = Object.entries(groups).map(([name, { texts }]) => {
    const rewards = texts.map((text) => text.gold_reward);
    const numbers = arithmetic.group(rewards);
    for (const kind of ["rloo", "grpo"]) {
      numbers[kind].forEach((advantage, i) => Object.assign(values, { [`${name}_${kind}${i}`]: advantage }));
    }
    values.below[name] = number(1 / numbers.spread);
    return { rewards, ...numbers };
  });
  first.rewards.forEach((reward, i) => Object.assign(values, { [`r${i}`]: reward }));
  for (const name of ["others", "rloo", "grpo"]) values[name] = first[name][0];
  const { mean, spread } = first;
  return { ...values, mean, spread, equal: [first, ...others].some((group) => group.spread < 1e-9) };
}

// The numbers of IPO and KTO. At β = 0 there is no 1/(2β).
function limitedNumbers(pair, beta) {
  const numbers = arithmetic.limited(pair, beta);
  const lengths = { chosen_length: String(pair.chosen.length), rejected_length: String(pair.rejected.length) };
  const endless = beta === 0 ? { aim: "–", ipo: "–" } : {};
  return { beta: betaText(beta), kl: pair.kl, ...lengths, ...numbers, ...endless };
}

// The line's numbers are those of the first text. `below` is a text of positive reward that becomes
// less likely; `shares` are all probabilities, before and after.
function optimumNumbers(lesson, beta) {
  const shares = arithmetic.optimum(lesson, beta);
  const [{ factor, bar }] = shares;
  const values = {
    beta: betaText(beta),
    reward: lesson.texts[0].gold_reward,
    factor: number(factor),
    bar,
    ratio: beta === 0 ? "–" : Math.log(factor),
    shares,
  };
  const below = lesson.texts.find(({ gold_reward }, i) => gold_reward > 0 && shares[i].factor < 1);
  if (below) values.below = { text: below.text.trim(), r: number(below.gold_reward), bar: number(bar) };
  shares.forEach(({ before, after }, i) => {
    Object.assign(values, { [`before${i}`]: probability(before), [`after${i}`]: probability(after) });
  });
  return values;
}
