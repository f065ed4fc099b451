// The arithmetic of Learn's equations at a β: pure functions of a recorded lesson
// (align_core/build/worked_examples.py). Log-probabilities and rewards are in nats.
const sigmoid = (x) => 1 / (1 + Math.exp(-x));
// −log σ(x), without overflow for any x.
const logisticLoss = (x) => Math.max(0, -x) + Math.log1p(Math.exp(-Math.abs(x)));
const total = (values) => values.reduce((sum, value) => sum + value, 0);

export function sft({ tokens }) {
  const after = -total(tokens.map(({ logp }) => logp));
  return { after, before: -total(tokens.map(({ before }) => before)), mean: after / tokens.length };
}

// arXiv 2305.18290, Eq. 1 on gold rewards and Eq. 2 on the reward model's.
export function pair({ chosen, rejected }, reward) {
  const difference = chosen[reward] - rejected[reward];
  return { difference, share: sigmoid(difference), loss: logisticLoss(difference) };
}

// One token of PPO: its reward, its advantage (whitened over the rollout), and its term of the
// clipped objective (arXiv 1707.06347, Eq. 7). In a lesson γ = λ = 1, so `ahead` is the plain sum of
// the KL from this token on; a token of a run has it discounted (align_core/training/example_token.py).
// `against`: whether the token's probability moved against the sign of A; the objective never clips
// such a move.
export function ppo({ tokens, place, score, value, whitening, clip, ahead: counted }, beta) {
  const divergences = tokens.map(({ logp, ref_logp }) => logp - ref_logp);
  const ahead = counted ?? total(divergences.slice(place));
  const earned = score - beta * ahead;
  const mean = whitening.mean_earned - beta * whitening.mean_kl;
  const { var_earned, cov, var_kl } = whitening;
  const spread = Math.sqrt(var_earned - 2 * beta * cov + beta ** 2 * var_kl);
  const advantage = (earned - value - mean) / spread;
  const ratio = Math.exp(tokens[place].new_logp - tokens[place].logp);
  const held = Math.min(1 + clip, Math.max(1 - clip, ratio));
  const objective = Math.min(ratio * advantage, held * advantage);
  return {
    paid: -beta * divergences[place], ahead, earned, mean, spread, advantage, ratio, held,
    objective, clipped: objective < ratio * advantage, against: (ratio - 1) * advantage < 0,
  };
}

// arXiv 2305.18290, Eq. 7, and the weight of its gradient (section 4). `chosen` and `rejected` are
// the rewards that the policy implies (Eq. 5), without the β log Z that they have in common.
export function dpo({ chosen, rejected }, beta) {
  const [up, down] = [chosen, rejected].map(({ logp, ref_logp }) => logp - ref_logp);
  const margin = beta * (up - down);
  const implied = { chosen: beta * up, rejected: beta * down };
  return { up, down, ...implied, margin, loss: logisticLoss(margin), weight: beta * sigmoid(-margin) };
}

// The advantages of a group of texts to one prompt: RLOO compares a reward with the mean of the
// `others` (arXiv 2402.14740, Eq. 6), GRPO with the mean of all, over their standard deviation
// (arXiv 2402.03300, 4.1.2; 1e-4 is added to it, as in TRL).
export function group(rewards) {
  const count = rewards.length;
  const sum = total(rewards);
  const mean = sum / count;
  const spread = Math.sqrt(total(rewards.map((reward) => (reward - mean) ** 2)) / (count - 1));
  const others = rewards.map((reward) => (sum - reward) / (count - 1));
  return {
    mean, spread, others,
    rloo: rewards.map((reward, i) => reward - others[i]),
    grpo: rewards.map((reward) => (reward - mean) / (spread + 1e-4)),
  };
}

// IPO: the squared distance of a pair's difference per token from 1/(2β) (arXiv 2310.12036, per
// token as in TRL). KTO: the loss of each text against z_0 = `kl`, the mean log(π/π_ref) of
// completions of other prompts (arXiv 2402.01306, Eq. 8, without its weights).
export function limited({ chosen, rejected, kl }, beta) {
  const [up, down] = [chosen, rejected].map(({ logp, ref_logp }) => logp - ref_logp);
  const apart = up / chosen.length - down / rejected.length;
  const aim = 1 / (2 * beta);
  return {
    up, down, apart, aim, ipo: (apart - aim) ** 2,
    kto_chosen: 1 - sigmoid(beta * (up - kl)), kto_rejected: 1 - sigmoid(beta * (kl - down)),
  };
}

// arXiv 2305.18290, Eq. 4: a text becomes exp(r/β)/Z times as likely, Z the mean over the
// reference's samples. Both are divided by exp(best/β), so that neither overflows; at β = 0 only
// the best samples remain. A text becomes likelier if r is above `bar` = β log Z, because
// log(π*/π_ref) = (r − β log Z)/β.
export function optimum({ samples, texts, rewards }, beta) {
  const best = Math.max(...rewards.map(([reward]) => reward));
  const relative = (reward) => (beta === 0 ? Number(reward === best) : Math.exp((reward - best) / beta));
  const mean = total(rewards.map(([reward, count]) => count * relative(reward))) / samples;
  const bar = best + beta * Math.log(mean);
  return texts.map(({ gold_reward, ref_logp }) => {
    const factor = relative(gold_reward) / mean;
    return { factor, bar, before: Math.exp(ref_logp), after: factor * Math.exp(ref_logp) };
  });
}
