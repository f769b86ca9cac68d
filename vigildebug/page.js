"use strict";
// Fetches the page every two seconds and puts its new main part in place of
// the old one. Not while it is hidden, paused, or text in it is selected.
(() => {
	const button = document.getElementById("pause");
	const state = document.getElementById("state");
	let paused = false;

	const selecting = () => !document.getSelection().isCollapsed;

	async function refresh() {
		const answer = await fetch(location.href, {cache: "no-store"});
		if (!answer.ok) throw new Error("status " + answer.status);
		const page = new DOMParser().parseFromString(await answer.text(), "text/html");
		if (paused || selecting()) return;
		document.querySelector("main").replaceWith(page.querySelector("main"));
	}

	async function turn() {
		try {
			if (!paused && !document.hidden && !selecting()) await refresh();
			state.textContent = paused ? "paused" : "";
		} catch (err) {
			state.textContent = "no answer: " + err.message;
		}
		setTimeout(turn, 2000);
	}

	button.addEventListener("click", () => {
		paused = !paused;
		button.textContent = paused ? "Resume" : "Pause";
		state.textContent = paused ? "paused" : "";
	});
	button.hidden = false;
	setTimeout(turn, 2000);
})();
