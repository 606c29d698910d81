// The link holds every value, also the defaults: a later change of a default leaves it as it is.
// What only the address knows (the player's position) is taken from there when the link is copied.

// Where a control is moved, Streamlit replaces the browser's entry of history; then the settings of
// before would be lost to its Back. The entry is known by its key, in browsers that tell it.
let settled = null;
const settings = (search, passing) => {
  const query = new URLSearchParams(search);
  for (const [name] of [...query]) if (passing.includes(name)) query.delete(name);
  query.sort();
  return query.toString();
};
const remember = (passing) => {
  const key = window.navigation?.currentEntry?.key;
  const { pathname, search } = location;
  const replaced = key && settled?.key === key && settled.pathname === pathname;
  if (replaced && settings(settled.search, passing) !== settings(search, passing)) {
    history.replaceState(history.state, "", pathname + settled.search);
    history.pushState({}, "", pathname + search);
  }
  settled = { key: window.navigation?.currentEntry?.key, pathname, search };
};

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

  if (data.address) {
    const [name, value] = data.address.based;
    const here = new URL(location.href);
    if (value) here.searchParams.set(name, value);
    else here.searchParams.delete(name);
    for (const gone of data.address.gone) here.searchParams.delete(gone);
    for (const [back, text] of Object.entries(data.address.back)) {
      if (!here.searchParams.has(back)) here.searchParams.set(back, text);
    }
    for (const [number, text] of Object.entries(data.address.numbers)) {
      if (text === null) here.searchParams.delete(number);
      else here.searchParams.set(number, text);
    }
    if (`${here.searchParams}` !== `${new URLSearchParams(location.search)}`) {
      history.replaceState(history.state, "", here);
    }
    remember([name, data.address.position]);
  }
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
