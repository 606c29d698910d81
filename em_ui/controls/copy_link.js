// The link holds every value, also the defaults: a later change of a default leaves it as it is.
// What only the address knows (the player's position) is taken from there when the link is copied.
export default function ({ data, parentElement }) {
  const button = parentElement.querySelector("button");
  const field = parentElement.querySelector("input");
  const status = parentElement.querySelector("[role=status]");

  const link = () => {
    const here = new URLSearchParams(location.search);
    const query = new URLSearchParams(data.query);
    for (const name of data.keep) {
      if (here.has(name)) query.set(name, here.get(name));
    }
    return `${location.origin}${location.pathname}?${query}`;
  };

  button.textContent = data.label;
  field.setAttribute("aria-label", data.label.replace("Copy link", "Link"));
  status.textContent = "";
  field.value = link();
  button.onclick = async () => {
    // The player waits a moment before it writes its position to the address.
    document.dispatchEvent(new Event("player-name-your-place"));
    field.value = link();
    field.hidden = false;
    try {
      await navigator.clipboard.writeText(field.value);
      status.textContent = "Copied.";
    } catch {
      // Browsers keep the clipboard from pages that are served without https.
      field.select();
      status.textContent = "Press Ctrl+C or ⌘C to copy it.";
    }
  };
}
