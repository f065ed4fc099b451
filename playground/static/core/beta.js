// The position of β, from 0 to 1, on a logarithmic slider over the range [lowest, highest].

export const positionOf = (beta, [lowest, highest]) =>
  Math.min(1, Math.max(0, Math.log(beta / lowest) / Math.log(highest / lowest)));

// The β at a position, rounded to two significant digits, the precision of a pointer.
export const betaAt = (position, [lowest, highest]) => Number((lowest * (highest / lowest) ** position).toPrecision(2));
