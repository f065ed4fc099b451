// The head of the page: its language, the same page in the others, and a link to the present
// settings. links.py reads the address that is written here.
import { make, within } from "../core/dom.js";

export function mount({ element, props, watch, events }) {
  const { words, others, fields } = props;
  const { find, put } = within(element);
  let linked = null; // [url, what to do with its address], once the settings are known

  // This page's address, or that of another language, with all else that stands in it.
  function address(path = location.pathname) {
    const url = new URL(path, document.baseURI);
    url.search = location.search;
    return url;
  }

  // Calls `next` with the address that has the settings in it: the answer to this event is what the
  // controls say.
  function withSettings(url, next) {
    linked = [url, next];
    events.submit();
  }

  watch("value", () => {
    const { settings } = props.value;
    const [url, next] = linked;
    for (const [field, methods] of Object.entries(fields)) {
      if (methods.includes(settings.method) && settings[field] !== null) url.searchParams.set(field, settings[field]);
      else url.searchParams.delete(field);
    }
    next(url.href);
  });

  async function copy(url) {
    history.replaceState(history.state, "", url);
    if (navigator.clipboard) await navigator.clipboard.writeText(url);
    else copyBySelection(url);
    put("button", words.link.copied);
    setTimeout(() => put("button", words.link.copy), 2000);
  }

  document.documentElement.lang = words.language.tag;
  document.title = words.title;
  put("h1", words.title);
  put("p", words.tagline);
  put("button", words.link.copy);
  find("button").onclick = () => withSettings(address(), copy);
  for (const [path, { tag, name }] of Object.entries(others)) {
    const link = make("a", "", find("nav"), name);
    Object.assign(link, { lang: tag, hreflang: tag, href: address(path || ".") });
    link.onclick = (event) => {
      event.preventDefault();
      withSettings(address(path || "."), (url) => location.assign(url));
    };
  }
}

// A page that is not served over https, as to phones in the same room, has no clipboard of its own.
function copyBySelection(text) {
  const box = document.body.appendChild(document.createElement("textarea"));
  box.value = text;
  box.select();
  document.execCommand("copy");
  box.remove();
}
