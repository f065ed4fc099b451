// Rate: simulated raters, with the failings that people have, vote in place of an audience. Follows
// rate.js.
put(".crowd label span", words.crowd);
put(".simulate", page.fill(words.simulate, { n: props.simulated }));
for (const name of props.crowds) {
  const one = make("option", "", find(".crowd select"), words.crowds[name]);
  one.value = name;
}
find(".simulate").onclick = async () => {
  const asked = { crowd: find(".crowd select").value };
  complain([]);
  find(".simulate").disabled = true;
  const answer = await ballot.send("simulate", asked).catch(() => null);
  find(".simulate").disabled = false;
  if (answer?.status !== 200) return lost(answer?.why ?? "lost", answer?.line);
  tally();
};
