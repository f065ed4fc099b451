// A function that returns whether any of its arguments has changed since its last call.
export function changeDetector() {
  let last = null;
  return (...values) => {
    const changed = last === null || values.some((value, i) => !Object.is(value, last[i]));
    last = values;
    return changed;
  };
}
