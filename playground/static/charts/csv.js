// The curves of a picture as a table (CSV): a row for each point, with the name of its curve and, where
// points have names, its own.

// `traces` are Plotly's; curves that the reader has hidden are left out. `heads` are the titles of the four
// columns.
export function csvOf(traces, heads) {
  const rows = traces.filter(({ visible }) => visible !== false).flatMap(({ name = "", text, x, y }) => (
    Array.from(x, (value, i) => [name, textAt(text, i), value, y[i]])
  ));
  return [heads, ...rows].map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n";
}

const textAt = (text, i) => (Array.isArray(text) ? text[i] : text) ?? "";

// A text that a spreadsheet would take for a formula gets a quote before it; numbers are left as they are.
function cell(value) {
  if (typeof value === "number") return String(value);
  const text = /^[=+\-@\t\r]/.test(value) ? `'${value}` : String(value ?? "");
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
