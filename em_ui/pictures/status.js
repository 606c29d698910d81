// The status line: where the player stands, and at the end why the run stopped. The player says so
// in the browser, with an event on the document; the server has no part in it.

const SIGNS = { success: "check_circle", info: "hourglass_bottom", error: "error" };

export default function ({ data, parentElement }) {
  const line = parentElement.querySelector(".status");
  const sign = line.querySelector(".sign");
  const words = line.querySelector(".words");
  const state = (parentElement.status ??= {});

  const say = (text) => {
    if (state.said === text) return; // or it would be read out again
    state.said = text;
    words.replaceChildren(
      ...text.split("**").map((part, i) => {
        const piece = document.createElement(i % 2 ? "b" : "span");
        piece.textContent = part;
        return piece;
      }),
    );
  };
  const show = (player) => {
    if (player?.page !== data.page) return;
    line.setAttribute("aria-live", player.playing ? "off" : "polite");
    line.className = `status ${player.ended ? data.kind : ""}`;
    sign.textContent = player.ended ? SIGNS[data.kind] : "";
    say(player.ended ? data.end : `**${player.words}.** ${player.objective}.`);
  };

  if (state.listener) document.removeEventListener("player-stands", state.listener);
  state.listener = (event) => show(event.detail);
  document.addEventListener("player-stands", state.listener);
  show(document.body.playerStands);
  return () => document.removeEventListener("player-stands", state.listener);
}
