// Opens the story (story/story.js) for an address with ?story=3, or when the masthead's button is pressed.
import { get, set, subscribe } from "../core/store.js";

export function mount({ element, server }) {
  let story = null; // the loaded story, as a promise

  async function load() {
    const [{ tell }, data] = await Promise.all([import("../story/story.js"), server.story(null)]);
    return tell(element.querySelector("dialog"), data);
  }

  async function show({ story: scene }) {
    if (scene === null && story === null) return;
    story ??= load();
    try {
      (await story).show(get().story); // the newest scene, if it has changed meanwhile
    } catch (error) {
      story = null; // so that the next press tries again
      set({ story: null });
      throw error;
    }
  }

  const follow = () => {
    const { searchParams } = new URL(location);
    set({ story: searchParams.has("story") ? Math.max(1, Math.trunc(searchParams.get("story")) || 1) : null });
  };
  subscribe(element, ["story"], show);
  window.addEventListener("popstate", follow);
  follow();
}
