// Means with 95 % intervals, by Student's t.

const Z = 1.959964; // the normal quantile
const EXACT = [NaN, 12.7062, 4.30265, 3.18245, 2.77645]; // of t, by degrees of freedom

/** Return the 0.975 quantile of Student's t; beyond four degrees of freedom by the Cornish-Fisher expansion. */
export function quantile(df) {
  if (df < EXACT.length) return EXACT[df];
  const [z3, z5, z7] = [Z ** 3, Z ** 5, Z ** 7];
  const terms = [(z3 + Z) / 4, (5 * z5 + 16 * z3 + 3 * Z) / 96, (3 * z7 + 19 * z5 + 17 * z3 - 15 * Z) / 384];
  return terms.reduce((sum, term, place) => sum + term / df ** (place + 1), Z);
}

/** Return the mean of values and the half-width of its 95 % interval; NaN for what too few values do not give. */
export function mean(values) {
  const n = values.length;
  const middle = values.reduce((sum, value) => sum + value, 0) / n;
  const squares = values.reduce((sum, value) => sum + (value - middle) ** 2, 0);
  return { n, middle, half: n < 2 ? NaN : quantile(n - 1) * Math.sqrt(squares / (n - 1) / n) };
}
