'use strict';
// Shows each later state of the store in the place of this one.
{
	const button = document.getElementById('live');
	const patience = 5000; // for the first event: it is sent at once, so what is later is held back
	const silence = 40000; // the store says every 15 seconds that it is still there
	const minute = 60000;
	let source = null, loading = false, stale = false, timer = 0, loaded = Date.now();

	const say = (state) => {
		button.hidden = false;
		button.dataset.state = state;
		button.textContent = {live: 'live', paused: 'paused', lost: 'not live', held: 'held back by a proxy: reload to see news'}[state];
		button.title = {
			live: 'This page follows the store. Press to pause.',
			paused: 'This page stays as it is. Press to follow the store.',
			lost: 'The store cannot be followed. Press to try again.',
			held: 'What the store sends has not arrived: something on the way collects it. Press to try again.',
		}[state];
	};

	// Times that go by are counted on by this clock, from that of the server.
	let ahead = 0;
	const tell = () => {
		const now = Date.parse(document.querySelector('main [data-now]')?.dataset.now) || 0;
		if (now) ahead = Date.now() - now;
	};
	const tick = () => {
		for (const time of document.querySelectorAll('time[data-ago]')) {
			const gone = Math.max(0, (Date.now() - ahead - Date.parse(time.dateTime)) / 1000);
			const [unit, name] = [[86400, 'd'], [3600, 'h'], [60, 'min'], [1, 's']].find(([unit]) => gone >= unit) ?? [1, 's'];
			const text = `${Math.floor(gone / unit)} ${name}`;
			if (time.textContent !== text) time.textContent = text;
		}
	};

	// A page with live regions keeps the rest of itself, such as a form that is being filled in.
	const replace = (page) => {
		const main = document.querySelector('main'), next = page.querySelector('main');
		if (!next) return;
		for (const {dataset: {key}} of main.querySelectorAll('details[open]')) {
			next.querySelector(`details[data-key="${CSS.escape(key)}"]`)?.setAttribute('open', '');
		}
		const active = document.activeElement, href = active?.closest('main a')?.getAttribute('href');
		const links = () => main.querySelectorAll(`a[href="${CSS.escape(href)}"]`); // several may lead to the same
		const place = href ? [...links()].indexOf(active.closest('a')) : 0;
		const key = active?.closest('main summary')?.parentElement.dataset.key;
		const across = [...main.querySelectorAll('.scroll')].map(e => e.scrollLeft);
		const regions = [...main.querySelectorAll('[data-live]')].map(e => [e, next.querySelector(`[data-live="${e.dataset.live}"]`)]);
		if (regions.length && regions.every(([, e]) => e)) {
			for (const [old, e] of regions) old.replaceWith(e);
		} else {
			main.replaceChildren(...next.childNodes);
		}
		main.querySelectorAll('.scroll').forEach((e, i) => e.scrollLeft = across[i] ?? 0);
		const focused = href ? links()[place] ?? links()[0] : key && main.querySelector(`details[data-key="${CSS.escape(key)}"] summary`);
		if (document.activeElement !== focused) focused?.focus({preventScroll: true});
		document.title = page.title;
		button.dataset.events = page.getElementById('live')?.dataset.events ?? button.dataset.events;
		tell();
		tick();
	};

	const load = async () => {
		stale = true;
		if (loading || !source || getSelection().type === 'Range') return; // nobody reads on in a text that goes
		loading = true;
		try {
			while (stale) {
				stale = false;
				const answer = await fetch(location.href, {headers: {Accept: 'text/html'}});
				const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
				loaded = Date.now();
				if (source) replace(page);
			}
		} catch {
			stale = true; // the stream will say what is wrong, and the next version try again
		}
		loading = false;
	};

	const stop = (state) => {
		clearTimeout(timer);
		source?.close();
		source = null;
		say(state);
	};

	// expect waits for the next event. If none comes, the connection is dead, or held back.
	const expect = (time, then) => {
		clearTimeout(timer);
		timer = setTimeout(then, time);
	};
	const heard = () => {
		say('live');
		expect(silence, () => (stop('lost'), start()));
	};

	const start = () => {
		source = new EventSource(button.dataset.events);
		expect(patience, () => say('held'));
		source.onerror = () => source.readyState === EventSource.CLOSED ? stop('lost') : say('lost');
		source.onopen = () => expect(patience, () => say('held'));
		source.addEventListener('begin', heard);
		source.addEventListener('version', () => (heard(), load()));
		source.addEventListener('still', () => (heard(), Date.now() - loaded > minute && load()));
	};

	button.addEventListener('click', () => source && button.dataset.state === 'live' ? stop('paused') : (stop('lost'), start()));
	document.addEventListener('selectionchange', () => stale && load());
	document.addEventListener('visibilitychange', () => { // a browser has few connections
		if (button.dataset.state === 'paused') return;
		document.hidden ? stop('lost') : source || start();
	});
	tell();
	setInterval(tick, 1000);
	if (document.hidden) say('lost'); else start();
}
