// The names of trails in a picture: each is on the side of its trail's end where it is easiest to read.
import { TEXT, boxAt, sidesOf } from "./label_places.js";

const STEP = 12; // pixels between the boxes that represent a line
const LINE = 1.3; // the height of a line of text, as a multiple of its font's size, as Plotly draws it
const MARK = 3; // the weight of a mark
const MOST = 99; // boxes for a line between two points, which may end far outside the picture
const canvas = document.createElement("canvas").getContext("2d");

// Places `names`, traces of one point with a mark and a text each, where they cover least of the other
// `traces`, of the notes in `layout` and of `remarks`, an element above the `plot`.
export function placeNames(names, traces, layout, plot, remarks) {
  const { at, room } = scaleOf(layout, plot);
  const drawn = [
    ...[...traces, ...names].flatMap((trace) => boxesOf(trace, at, layout.font.family)),
    ...layout.annotations.filter(({ xref }) => xref !== "paper").map((note) => noteBox(note, at, layout.font)),
    boxOnPlot(remarks, plot),
  ];
  const sides = new Map(plot.data?.map(({ text, textposition }) => [String(text), textposition])); // of the last picture
  const labels = names.map((name) => ({ ...textLabel(name, at, layout.font.family), side: sides.get(String(name.text)) }));
  sidesOf(labels, drawn, room).forEach((side, i) => (names[i].textposition = side));
}

// `at` converts a point {x, y} to pixels of the plot; `room` is the box of the axes.
function scaleOf({ margin, xaxis, yaxis }, plot) {
  const room = { left: margin.l, top: margin.t, right: plot.clientWidth - margin.r, bottom: plot.clientHeight - margin.b };
  const [[left, right], [bottom, top]] = [xaxis.range, yaxis.range];
  const at = ({ x, y }) => ({
    x: room.left + ((room.right - room.left) * (x - left)) / (right - left),
    y: room.top + ((room.bottom - room.top) * (top - y)) / (top - bottom),
  });
  return { at, room };
}

// The boxes of a trace: along its line, around its marks, and of its text.
function boxesOf(trace, at, family) {
  const points = Array.from(trace.x, (x, i) => at({ x, y: trace.y[i] }));
  const boxes = trace.mode.includes("markers") ? points.map((point) => around(point, trace.marker.size, MARK)) : [];
  if (trace.mode.includes("lines")) boxes.push(...alongLine(points));
  if (trace.textposition && points.length) boxes.push({ ...boxAt(textLabel(trace, at, family), trace.textposition), weight: TEXT });
  return boxes;
}

function alongLine(points) {
  return points.slice(1).flatMap(({ x, y }, i) => {
    const from = points[i];
    const count = Math.min(MOST, Math.ceil(Math.hypot(x - from.x, y - from.y) / STEP));
    return Array.from({ length: count }, (_, n) => (
      around({ x: from.x + ((x - from.x) * n) / count, y: from.y + ((y - from.y) * n) / count }, STEP / 2, 1)
    ));
  });
}

// The text at a trace's first point, as `boxAt` takes it. The gap is Plotly's.
function textLabel({ x: [x], y: [y], text: [text], marker, textfont }, at, family) {
  return { ...at({ x, y }), gap: marker.size / 1.6 + 1, ...textSize(text, textfont.size, family) };
}

// The box of a note, which is to the right of its point and below it, as all notes of this picture are.
const noteBox = ({ text, x, y }, at, { size, family }) => (
  { ...boxAt({ ...at({ x, y }), gap: 3, ...textSize(text, size, family) }, "bottom right"), weight: TEXT }
);

function textSize(text, size, family) {
  canvas.font = `${size}px ${family}`;
  const lines = text.split("<br>");
  return { width: Math.max(...lines.map((line) => canvas.measureText(line).width)), height: LINE * size * lines.length };
}

const around = ({ x, y }, size, weight) => (
  { left: x - size / 2, right: x + size / 2, top: y - size / 2, bottom: y + size / 2, weight }
);

function boxOnPlot(element, plot) {
  const [{ left, right, top, bottom }, origin] = [element, plot].map((one) => one.getBoundingClientRect());
  const box = { left: left - origin.left, right: right - origin.left, top: top - origin.top, bottom: bottom - origin.top };
  return { ...box, weight: TEXT };
}
