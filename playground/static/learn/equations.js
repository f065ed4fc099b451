// Equations in MathML, from a notation for fixed text. Its parts are separated by spaces, `y_t` has
// an index, and `( x )²` is squared. {beta} is a place for a number; {(beta)} puts a negative number
// in brackets, and {*beta} marks the result of the line. `fillIn` writes the numbers later, as text.
import { number } from "../core/format.js";

const MATH = "http://www.w3.org/1998/Math/MathML";
const BETWEEN = { form: "infix", stretchy: "false", lspace: "0.28em", rspace: "0.28em" };

function node(tag, ...children) {
  const made = document.createElementNS(MATH, tag);
  made.append(...children);
  return made;
}

function term(token) {
  const place = token.match(/^\{([(*]?)(\w+)\)?\}$/);
  if (place) {
    const made = node("mn");
    Object.assign(made.dataset, { number: place[2], shown: place[1] });
    return made;
  }
  const [base, index] = token.split("_");
  if (index !== undefined) {
    const above = node("mpadded", term(base));
    above.setAttribute("depth", 0);  // otherwise an index hangs from the tail of a y
    return node("msub", above, index.length > 1 ? node("mtext", index) : term(index));
  }
  if (/^\p{L}\*$/u.test(token)) return node("msup", term(token[0]), node("mo", "*"));
  if (/^[\d.]+$/.test(token)) return node("mn", token);
  const made = node(/^\p{L}+$/u.test(token) ? "mi" : "mo", token);
  // Between two terms it is a sign like any other, not a fence, which has no room and grows.
  if (token === "‖") Object.entries(BETWEEN).forEach(([name, value]) => made.setAttribute(name, value));
  return made;
}

function space() {
  const made = node("mspace");
  made.setAttribute("width", "0.17em");
  return made;
}

// A row of nodes and of texts in the notation.
export function row(...parts) {
  const tokens = parts.flatMap((part) => (part instanceof Node ? [part] : part.split(" ")));
  const terms = [];
  for (const token of tokens) {
    if (token instanceof Node) terms.push(token);
    else if (token === "log") terms.push(space(), term(token), space());
    else if (token === ")²") {
      const bracket = terms.splice(terms.findLastIndex(({ textContent }) => textContent === "("));
      terms.push(node("msup", node("mrow", ...bracket, term(")")), term("2")));
    } else terms.push(term(token));
  }
  return node("mrow", ...terms);
}

export const fraction = (above, below) => node("mfrac", row(above), row(below));

export function equation(host, content, display = "block") {
  const math = node("math", content);
  math.setAttribute("display", display);
  host.appendChild(math);
}

// Writes values {name: number or text} wherever `host` has a place for them, two digits each.
export function fillIn(host, values) {
  for (const place of host.querySelectorAll("[data-number]")) {
    const value = values[place.dataset.number];
    const text = typeof value === "number" ? number(value) : value;
    const bracketed = place.dataset.shown === "(" && text.startsWith("−");
    place.textContent = bracketed ? `(${text})` : text;
  }
}
