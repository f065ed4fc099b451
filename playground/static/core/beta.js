// β on a logarithmic slider from 0 to 1, over the range [lowest, highest].

export const placeOf = (beta, [lowest, highest]) =>
  Math.min(1, Math.max(0, Math.log(beta / lowest) / Math.log(highest / lowest)));

// Rounded to two significant digits: a hand cannot set more.
export const betaAt = (place, [lowest, highest]) => Number((lowest * (highest / lowest) ** place).toPrecision(2));
