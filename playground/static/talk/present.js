// For talks: ?present makes the page readable from the last row, ?hide=seed,pace leaves controls
// away. Set before anything is drawn; present.css knows what the words mean, and no others.
{
  const asked = new URLSearchParams(location.search);
  const { dataset } = document.documentElement;
  if (asked.has("present")) dataset.present = "";
  if (asked.has("hide")) dataset.hide = asked.get("hide").replaceAll(",", " ");
}
