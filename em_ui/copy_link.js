// The link holds every value, also the defaults: a later change of a default leaves it as it is.
export default function ({ data, parentElement }) {
  const field = parentElement.querySelector("input");
  const status = parentElement.querySelector("[role=status]");
  const link = () => `${location.origin}${location.pathname}?${data.query}`;

  status.textContent = "";
  field.value = link();
  parentElement.querySelector("button").onclick = async () => {
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
