// Keeps addresses of searches under names of the reader's own, in this browser and nowhere
// else. Without it the address bar and bookmarks do the same.
"use strict";
(() => {
  const KEY = "greffe-searches";
  const read = () => {
    try {
      const kept = JSON.parse(localStorage.getItem(KEY));
      return Array.isArray(kept) ? kept : [];
    } catch {
      return [];
    }
  };
  const write = (kept) => localStorage.setItem(KEY, JSON.stringify(kept));

  const form = document.querySelector("form.save");
  if (form) {
    form.hidden = false;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const name = form.querySelector("input").value.trim();
      const address = location.pathname + location.search;
      if (!name) return;
      write([...read().filter((search) => search.name !== name), { name, address }]);
      form.querySelector("[role=status]").textContent = form.dataset.saved;
    });
  }

  const list = document.getElementById("saved");
  const show = () => {
    const items = read().map(({ name, address }) => {
      const item = document.createElement("li");
      const link = document.createElement("a");
      // An address of this part of the site, whatever the browser kept.
      link.href = String(address).startsWith("/regulator") ? address : "/regulator";
      link.textContent = name;
      const remove = document.createElement("button");
      remove.className = "plain";
      remove.textContent = list.dataset.remove;
      remove.setAttribute("aria-label", `${list.dataset.remove} : ${name}`);
      remove.addEventListener("click", () => {
        write(read().filter((search) => search.name !== name));
        show();
      });
      item.append(link, " ", remove);
      return item;
    });
    if (items.length === 0) {
      const none = document.createElement("li");
      none.textContent = list.dataset.empty;
      items.push(none);
    }
    list.querySelector("ul").replaceChildren(...items);
  };
  if (list) {
    list.hidden = false;
    show();
  }
})();
