// The status line: where the player stands, and at the end why the run stopped. The player says so
// in the browser, with an event on the document; the server has no part in it.
//
// It is seen at every step, and heard where the player rests.

const SIGNS = { success: "check_circle", info: "hourglass_bottom", error: "error" };

export default function ({ data, parentElement }) {
  const line = parentElement.querySelector(".status");
  const sign = line.querySelector(".sign");
  const words = line.querySelector(".words");
  const heard = parentElement.querySelector(".heard").firstChild;
  const state = (parentElement.status ??= {});
  if (!heard.firstChild) heard.append("");
  parentElement.querySelector(".caption").replaceChildren(
    ...data.caption.split("\n").map((text) => {
      const paragraph = document.createElement("p");
      paragraph.textContent = text;
      return paragraph;
    }),
  );

  const show = (player) => {
    if (player?.page !== data.page) return;
    line.className = `status ${player.ended ? data.kind : ""}`;
    const shape = player.ended ? SIGNS[data.kind] : "";
    if (sign.textContent !== shape) sign.textContent = shape;
    const text = player.ended ? data.end : `**${player.words}.** ${player.objective}.`;
    const parts = text.split("**");
    if (parts.length !== words.children.length) {
      words.replaceChildren(
        ...parts.map((_, i) => {
          const piece = document.createElement(i % 2 ? "b" : "span");
          piece.append("");
          return piece;
        }),
      );
    }
    // New words in the place of others cost less than a new node.
    parts.forEach((part, i) => (words.children[i].firstChild.data = part));
    const paused = state.playing && !player.playing && !player.ended;
    state.playing = player.playing;
    const said = player.playing ? "" : `${paused ? "Paused. " : ""}${words.textContent}`;
    // What is written again would be read out again.
    if (heard.textContent.replace("Paused. ", "") !== said) heard.firstChild.data = said;
  };

  if (state.listener) document.removeEventListener("player-stands", state.listener);
  state.listener = (event) => show(event.detail);
  document.addEventListener("player-stands", state.listener);
  show(document.body.playerStands);
  return () => document.removeEventListener("player-stands", state.listener);
}
