// The head of the page: its language, the same page in the others, and a link to the present
// settings. links.py reads the address that is written here.
const { words, others, fields } = props;
let asked = null; // [address, what to do with it], once the settings are known

// This page's address, or that of another language, with all else that stands in it.
function address(path = location.pathname) {
  const url = new URL(path, document.baseURI);
  url.search = location.search;
  return url;
}

// Gradio answers with what the controls say, by their names.
function withSettings(url, next) {
  asked = [url, next];
  trigger("submit");
}

document.addEventListener("playground:settings", ({ detail: settings }) => {
  const [url, next] = asked;
  for (const [field, methods] of Object.entries(fields)) {
    const said = methods.includes(settings.method) && settings[field] !== null;
    said ? url.searchParams.set(field, settings[field]) : url.searchParams.delete(field);
  }
  next(url.href);
});

// A page that is not served over https, as to phones in the same room, has no clipboard of its own.
async function copy(url) {
  history.replaceState(history.state, "", url);
  if (navigator.clipboard) await navigator.clipboard.writeText(url);
  else {
    const box = document.body.appendChild(document.createElement("textarea"));
    box.value = url;
    box.select();
    document.execCommand("copy");
    box.remove();
  }
  put("button", words.link.copied);
  setTimeout(() => put("button", words.link.copy), 2000);
}

document.documentElement.lang = words.language.tag;
document.title = words.title;
put("h1", words.title);
put("p", words.tagline);
put("button", words.link.copy);
const button = find("button");
button.onclick = () => withSettings(address(), copy);
for (const [path, { tag, name }] of Object.entries(others)) {
  const link = make("a", "", find("nav"), name);
  Object.assign(link, { lang: tag, hreflang: tag, href: address(path || ".") });
  link.onclick = (event) => {
    event.preventDefault();
    withSettings(address(path || "."), (url) => location.assign(url));
  };
}
