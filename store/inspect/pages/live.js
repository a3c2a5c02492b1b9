'use strict';
// Shows each later version of the runtime in the place of this one.
{
	const button = document.getElementById('live');
	let source = null, loading = false, stale = false;

	const say = (state) => {
		button.hidden = false;
		button.dataset.state = state;
		button.textContent = {live: 'live', paused: 'paused', lost: 'not live'}[state];
		button.title = {
			live: 'This page follows the store. Press to pause.',
			paused: 'This page stays as it is. Press to follow the store.',
			lost: 'The store cannot be followed. Press to try again.',
		}[state];
	};

	const replace = (page) => {
		const main = document.querySelector('main'), next = page.querySelector('main');
		if (!next) return;
		for (const {dataset: {key}} of main.querySelectorAll('details[open]')) {
			next.querySelector(`details[data-key="${key}"]`)?.setAttribute('open', '');
		}
		const href = document.activeElement?.closest('main a')?.getAttribute('href');
		main.replaceChildren(...next.childNodes);
		if (href) main.querySelector(`a[href="${CSS.escape(href)}"]`)?.focus({preventScroll: true});
		document.title = page.title;
		button.dataset.events = page.getElementById('live')?.dataset.events ?? button.dataset.events;
	};

	const load = async () => {
		stale = true;
		if (loading || !source || getSelection().type === 'Range') return; // nobody reads on in a text that goes
		loading = true;
		try {
			while (stale) {
				stale = false;
				const answer = await fetch(location.href);
				const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
				if (source) replace(page);
			}
		} catch {
			stale = true; // the stream will say what is wrong, and the next version try again
		}
		loading = false;
	};

	const stop = (state) => {
		source?.close();
		source = null;
		say(state);
	};

	const start = () => {
		source = new EventSource(button.dataset.events);
		source.onopen = () => say('live');
		source.onerror = () => source.readyState === EventSource.CLOSED ? stop('lost') : say('lost');
		source.addEventListener('version', load);
	};

	button.addEventListener('click', () => source && button.dataset.state === 'live' ? stop('paused') : (stop('lost'), start()));
	document.addEventListener('selectionchange', () => stale && load());
	document.addEventListener('visibilitychange', () => { // a browser has few connections
		if (button.dataset.state === 'paused') return;
		document.hidden ? stop('lost') : source || start();
	});
	if (document.hidden) say('lost'); else start();
}
