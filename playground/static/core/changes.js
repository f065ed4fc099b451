// A function that says whether any of its arguments differs from that of its last call.
export function changeDetector() {
  let last = null;
  return (...values) => {
    const changed = last === null || values.some((value, i) => !Object.is(value, last[i]));
    last = values;
    return changed;
  };
}
