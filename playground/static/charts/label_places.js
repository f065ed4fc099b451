// On which side of its point each label goes, so that labels cover neither each other nor what is drawn, and
// none seems to belong to another point. Lengths are pixels, and y grows downwards.

// Plotly's names of the sides, the preferred ones first.
const SIDES = [
  "middle right", "top center", "bottom center", "middle left", "bottom right", "top right", "bottom left", "top left",
];
const SIGNS = { top: -1, middle: 0, bottom: 1, left: -1, center: 0, right: 1 };
// Costs, in units of a line's area that is covered.
const OUTSIDE = 100; // of each square pixel of a label outside the picture
const MOVED = 600; // of another side than before
const MISTAKEN = 60; // of each pixel by which a label is too near to the point of another one
const CLEAR = 12; // pixels by which a label should be farther from other points than from its own
export const TEXT = 10; // the weight of a text that is covered; a line has 1

// The box of a label {x, y, gap, width, height}, `gap` away from its point, at a side of it.
export function boxAt({ x, y, gap, width, height }, side) {
  const [down, across] = side.split(" ").map((name) => SIGNS[name]);
  const left = x + across * (gap + width / 2) - width / 2;
  const top = y + down * (gap + height / 2) - height / 2;
  return { left, top, right: left + width, bottom: top + height };
}

// The best combination of sides for a few labels: they cover little of each other and of the `drawn` boxes,
// each with its `weight`, and stay in the box `room`. A label that has a `side` leaves it only for a much better one.
export function sidesOf(labels, drawn, room) {
  const costs = labels.map((label) => SIDES.map((side) => (
    costOf(label, boxAt(label, side), labels, drawn, room) + ((label.side ?? side) === side ? 0 : MOVED)
  )));
  // The best [cost, sides] of the labels from `i` on, when the earlier ones have these boxes.
  function best(i, boxes) {
    if (i === labels.length) return [0, []];
    let lowest = [Infinity, []];
    SIDES.forEach((side, j) => {
      const box = boxAt(labels[i], side);
      const own = costs[i][j] + sum(boxes, (other) => TEXT * shared(box, other));
      if (own >= lowest[0]) return;
      const [rest, sides] = best(i + 1, [...boxes, box]);
      if (own + rest < lowest[0]) lowest = [own + rest, [side, ...sides]];
    });
    return lowest;
  }
  return best(0, [])[1];
}

function costOf(label, box, labels, drawn, room) {
  const others = labels.filter((other) => other !== label);
  const near = sum(others, (other) => Math.max(0, label.gap + CLEAR - distance(other, box)));
  const covered = sum(drawn, (other) => other.weight * shared(box, other));
  return covered + OUTSIDE * (area(box) - shared(box, room)) + MISTAKEN * near;
}

const sum = (list, value) => list.reduce((total, one) => total + value(one), 0);

const area = ({ left, right, top, bottom }) => (right - left) * (bottom - top);

// The area that two boxes share.
function shared(one, other) {
  const width = Math.min(one.right, other.right) - Math.max(one.left, other.left);
  const height = Math.min(one.bottom, other.bottom) - Math.max(one.top, other.top);
  return width > 0 && height > 0 ? width * height : 0;
}

// The distance from a point to a box.
const distance = ({ x, y }, { left, right, top, bottom }) => (
  Math.hypot(Math.max(left - x, 0, x - right), Math.max(top - y, 0, y - bottom))
);
