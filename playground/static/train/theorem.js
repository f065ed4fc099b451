// The sentences on a run's distance from the optimum (training/distance.py): both sides of
// J(π*) − J(π) = β·KL(π ‖ π*), whether they agree, and the prompts that make up most of them.
import { fill, number } from "../core/format.js";

export function theoremText({ beta, gap, gap_ci95, kl, kl_ci95, prompts, count, share, named }, words) {
  const sides = { beta, gap: number(gap), gap_width: number(gap_ci95), kl: number(kl), kl_width: number(kl_ci95) };
  const agree = Math.abs(gap - kl) <= Math.hypot(gap_ci95, kl_ci95);
  const most = { count, prompts, share: number(100 * share, 0), named: named.map((prompt) => `“${prompt}”`).join(", ") };
  const sentences = [words.sides, agree ? words.agree : words.differ];
  if (gap > gap_ci95) sentences.push(words.heaviest);
  return sentences.map((sentence) => fill(sentence, { ...sides, ...most })).join(" ");
}
