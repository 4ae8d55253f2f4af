'use strict';

// page is what is shown, and what its buttons and keys do.
const page = {
	all: new Map(), // conversations that have begun, by id
	open: null, // the conversation that is shown: a new one is not among all until something is said in it
	turns: new Map(), // of the open one, by the message's id
	follows: true, // the end of the text stays in view
	frame: 0,
	grown: new Set(), // runs that have something new to show
	rested: 0, // when the next frame may be drawn
	heard: 0, // length of the text that was spoken

	async start() {
		labelled();
		settings.load();
		page.listen();
		try {
			await store.open();
			for (const c of await store.list()) page.all.set(c.id, c);
		} catch {
			note('fault', words.noStore);
		}
		await page.openNamed();
		// What was written, sent or chosen before would be lost.
		document.body.inert = false;
		$('talk').removeAttribute('aria-busy');
		if (!matchMedia('(pointer: coarse)').matches) $('box').focus();
		await page.meet();
	},

	// meet asks the server who it is, until it tells.
	async meet() {
		let end = () => {};
		for (let tries = 0; ; tries++) {
			try {
				await server.models();
				end();
				page.showModel();
				return;
			} catch (e) {
				if (e.status === 401 && await askKey()) continue;
				if (!tries || e.status === 401) end = note('fault', e.status === 401 ? words.noKey : `${e.status === 503 ? words.loading : ''} ${e.message}`.trim());
				if (e.status === 401) return;
				await new Promise(resolve => setTimeout(resolve, 1000 * Math.min(2 ** tries, 30)));
			}
		}
	},

	// openNamed opens the conversation that the address names, or a new one.
	async openNamed() {
		const {hash} = location;
		const c = page.all.get(hash.slice(1));
		if (c ? c === page.open : page.open && !page.open.messages.size) return;
		try {
			if (c) await page.loaded(c);
		} catch (e) {
			note('fault', words.notRead(e.message));
			return page.newChat();
		}
		// Another one was asked for meanwhile.
		if (hash !== location.hash) return;
		// Pictures are there already.
		if (page.open) page.open.draft = $('box').value;
		page.open = c ?? tree.conversation(page.open);
		page.turns.clear();
		$('turns').replaceChildren();
		page.follows = true;
		page.showMedia();
		$('box').value = page.open.draft ?? '';
		grown($('box'));
		page.heard = runs.get(page.open.id)?.message.content.length ?? Infinity;
		page.show();
		list.show();
	},

	// loaded has the messages of a conversation in place, which somebody else may have seen to meanwhile.
	async loaded(c) {
		const kept = c.messages ?? await store.messages(c.id);
		if (!c.messages) tree.grown(c, kept);
	},

	// show brings the open conversation up to date.
	show() {
		const c = page.open;
		const line = tree.line(c);
		const shown = line.filter(m => m.role !== 'tool');
		for (const id of page.turns.keys()) if (!shown.some(m => m.id === id)) page.turns.delete(id);
		const turns = shown.map(m => {
			if (!page.turns.has(m.id)) page.turns.set(m.id, new Turn(c, m));
			return page.turns.get(m.id);
		});
		placed($('turns'), turns.map(t => t.box));
		turns.forEach((t, i) => t.show(i === turns.length - 1));
		$('hello').hidden = line.length > 0;
		page.showTitle();
		page.showSwitches();
		page.showMeter();
		page.follow();
	},

	showTitle() {
		const title = page.open.title || words.untitled;
		$('title').textContent = page.open.messages.size ? title : '';
		document.title = page.open.title ? `${title} – gemma4` : 'gemma4';
	},

	showModel() {
		$('model').textContent = server.model;
		$('about').textContent = server.model ? words.about(server.model) : '';
		$('mic').hidden = !server.hears || !navigator.mediaDevices?.getUserMedia || !window.MediaRecorder;
		const label = server.sees || server.hears ? words.attachMedia(server.sees, server.hears) : words.attach;
		$('attach').setAttribute('aria-label', label);
		$('attach').title = label;
		page.showMeter();
	},

	// showMedia shows the pictures and sounds that go with the message.
	showMedia() {
		const all = page.open.media ??= [];
		$('media').hidden = !all.length;
		$('media').replaceChildren(...media.boxes(all, i => {
			all.splice(i, 1);
			page.showMedia();
			page.showSwitches();
			$('box').focus();
		}));
	},

	// addMedia adds one to the message that is being written in c.
	addMedia(c, one) {
		(c.media ??= []).push(one);
		if (c !== page.open) return;
		page.showMedia();
		page.showSwitches();
	},

	showSwitches() {
		const c = page.open;
		const running = runs.has(c.id);
		$('think').setAttribute('aria-pressed', String(c.think));
		$('tools').setAttribute('aria-pressed', String(c.tools));
		$('form').hidden = !c.schema;
		$('form').setAttribute('aria-haspopup', 'dialog');
		const had = document.activeElement === $('send') || document.activeElement === $('stop');
		$('stop').hidden = !running;
		$('send').hidden = running;
		if (had) (running ? $('stop') : $('send')).focus();
		$('send').disabled = !$('box').value.trim() && !c.media?.length;
	},

	// showMeter shows how much of the context the conversation fills, as the last answer tells.
	showMeter() {
		const m = tree.line(page.open).findLast(m => m.usage || m.timings);
		const t = m?.timings;
		const used = m?.usage && !(runs.get(page.open.id)?.message === m) ? m.usage.prompt_tokens + m.usage.completion_tokens
			: (t?.cache_n ?? 0) + (t?.prompt_n ?? 0) + (t?.predicted_n ?? 0);
		$('meter').hidden = !(used > 0);
		if (!(used > 0)) return;
		const all = server.context;
		$('used').textContent = all ? words.used(used, all) : words.usedOnly(used);
		const bar = $('meter').lastChild;
		bar.hidden = !all;
		bar.setAttribute('aria-valuenow', used);
		bar.setAttribute('aria-valuemax', all);
		bar.setAttribute('aria-valuetext', $('used').textContent);
		bar.firstChild.style.width = `${Math.min(100, 100 * used / (all || used))}%`;
		bar.classList.toggle('high', used > 0.9 * all);
	},

	// changed is called when a conversation has another message, or its run has begun or ended.
	changed(c) {
		if (c === page.open) {
			const run = runs.get(c.id);
			if (run) page.heard = run.message.content.length;
			else page.speak(tree.line(c).at(-1), true);
			page.show();
		}
		list.show();
	},

	// grew draws a run's news in the next frame; where drawing takes long, frames leave three quarters of the time to everything else.
	grew(run) {
		page.grown.add(run);
		page.frame ||= requestAnimationFrame(page.draw);
	},

	draw() {
		page.frame = 0;
		const began = performance.now();
		if (began < page.rested) {
			page.frame = requestAnimationFrame(page.draw);
			return;
		}
		for (const run of page.grown) {
			if (run.conversation !== page.open) continue;
			page.turns.get(run.message.id)?.show();
			page.speak(run.message, false);
			page.showMeter();
			page.follow();
		}
		page.grown.clear();
		const now = performance.now();
		page.rested = now + Math.min(3 * (now - began) - 10, 250);
	},

	// speak puts whole sentences where screen readers hear of them.
	speak(m, whole) {
		if (!m || m.role !== 'assistant' || page.heard > m.content.length) return;
		const rest = m.content.slice(page.heard);
		const end = whole ? rest.length : /^[^]*(?:[.!?:…](?=\s)|\n)/.exec(rest)?.[0].length ?? 0;
		const text = rest.slice(0, end).replace(/```|[*_`#>|]/g, '').trim();
		page.heard = whole ? Infinity : page.heard + end;
		if (text) $('spoken').append(make('p', {}, text));
		while ($('spoken').children.length > 20) $('spoken').firstChild.remove();
	},

	follow() {
		const talk = $('talk');
		if (page.follows) talk.scrollTop = talk.scrollHeight;
		$('latest').hidden = page.follows || talk.scrollHeight - talk.scrollTop - talk.clientHeight < 48;
	},

	// keepIfBegun keeps a conversation that is among all; what is set in a new one is kept with its first message.
	keepIfBegun(c) { if (page.all.has(c.id)) store.keep(c); },

	// say adds a message of the user, and has it answered.
	say(text) {
		const c = page.open;
		const shown = c.media ?? [];
		if (runs.has(c.id) || !text.trim() && !shown.length) return;
		c.media = [];
		page.showMedia();
		const parent = tree.line(c).at(-1)?.id ?? '';
		page.begin(c, tree.add(c, parent, 'user', {content: text, ...shown.length && {media: shown}}));
	},

	begin(c, m) {
		if (!page.all.has(c.id)) {
			c.title = tree.title(m.content || m.media?.[0].name || '');
			page.all.set(c.id, c);
			history.pushState(null, '', '#' + c.id);
		}
		page.follows = true;
		store.keep(c, [m]);
		answer(c, m.id);
	},

	retry(m) {
		page.follows = true;
		answer(page.open, m.parent);
		$('box').focus();
	},

	goOn(m) {
		page.follows = true;
		answer(page.open, m.parent, m);
		$('box').focus();
	},

	async edit(m, text) {
		const c = page.open;
		if (runs.has(c.id)) return;
		$('box').focus();
		if (m.role === 'user') return page.begin(c, tree.add(c, m.parent, 'user', {content: text, ...m.media && {media: m.media}}));
		const version = tree.add(c, m.parent, 'assistant', {content: text, finish: 'stopped', edited: true});
		await store.keep(c, [version]);
		page.changed(c);
	},

	// choose shows the version of a message that is by further on.
	choose(m, by) {
		const c = page.open;
		const versions = tree.versions(c, m);
		const to = versions[versions.indexOf(m) + by];
		if (!to) return;
		c.chosen[m.parent] = to.id;
		store.keep(c);
		page.follows = false;
		page.show();
		const buttons = [...page.turns.get(to.id).foot.querySelectorAll('.versions button')];
		(buttons[by < 0 ? 0 : 1].disabled ? buttons[by < 0 ? 1 : 0] : buttons[by < 0 ? 0 : 1]).focus();
	},

	async remove(c) {
		c.removed = true;
		runs.get(c.id)?.stop();
		const removed = await store.remove(c.id).catch(e => {
			c.removed = false;
			note('fault', words.notKept(e.message));
		});
		if (!c.removed) return;
		page.all.delete(c.id);
		if (c === page.open) page.newChat();
		else list.show();
		note('news', words.removed(c.title), {action: words.undo, seconds: 10, act: async () => {
			c.removed = false;
			page.all.set(c.id, c);
			await store.keep(c, c.messages?.values() ?? removed);
			list.show();
			list.focus(c);
		}});
		$('box').focus();
	},

	newChat() {
		page.hideDrawer();
		if (location.hash) history.pushState(null, '', location.pathname + location.search);
		page.openNamed();
		$('box').focus();
	},

	async exportAll() {
		if (!page.all.size) return note('news', words.nothingToExport, {seconds: 10});
		const messages = store.db ? await store.allMessages() : [...page.all.values()].flatMap(c => [...c.messages.values()]);
		const conversations = [...page.all.values()].map(({messages, children, draft, media, removed, ...c}) => c);
		const url = URL.createObjectURL(new Blob([file.write(conversations, messages)], {type: 'application/json'}));
		make('a', {href: url, download: `gemma4-${new Date().toISOString().slice(0, 10)}.json`}).click();
		setTimeout(() => URL.revokeObjectURL(url), 60e3);
	},

	// importAll adds what is not there yet: a conversation that is known gets the messages it lacks.
	async importAll(text) {
		let read;
		try {
			read = file.read(text);
		} catch (e) {
			return note('fault', e.message);
		}
		let added = 0;
		for (const {conversation, messages} of read) {
			let c = page.all.get(conversation.id);
			if (!c) {
				c = tree.grown(conversation, []);
				page.all.set(c.id, c);
			} else await page.loaded(c);
			const fresh = messages.filter(m => !c.messages.has(m.id));
			for (const m of fresh) tree.place(c, m);
			added += fresh.length;
			await store.keep(c, fresh);
		}
		note('news', words.imported(read.length, added), {seconds: 10});
		page.show();
		list.show();
	},

	// attach adds files to the message: pictures and sounds that the model takes, and the text of others.
	async attach(files) {
		for (const f of files) {
			const kind = media.kind(f);
			if (kind) {
				try {
					if (f.size > (kind === 'image' ? 4 : 1) * media.bytes) throw new Error(words.tooMuch);
					page.addMedia(page.open, await (kind === 'image' ? media.picture(f) : media.sound(f)));
				} catch (e) {
					note('fault', kind === 'image' ? words.notPicture(f.name, e.message) : words.notSound(f.name, e.message));
				}
				continue;
			}
			if (f.size > 1 << 20) {
				note('fault', words.tooLarge(f.name));
				continue;
			}
			let text;
			try {
				text = new TextDecoder('utf-8', {fatal: true}).decode(await f.arrayBuffer());
				if (text.includes('\0')) throw new Error();
			} catch {
				note('fault', words.notText(f.name));
				continue;
			}
			const fence = '`'.repeat(Math.max(3, ...(text.match(/`{3,}/g) ?? []).map(s => s.length + 1)));
			const box = $('box');
			box.value += `${box.value && !box.value.endsWith('\n') ? '\n' : ''}${f.name}:\n${fence}\n${text.trimEnd()}\n${fence}\n`;
			grown(box);
			page.showSwitches();
			server.tokens(text).then(n => words.attached(f.name, n), () => words.attachedLength(f.name, text.length))
				.then(said => note('news', said, {seconds: 10}));
		}
		$('box').focus();
	},

	// pick lets the user choose files.
	pick(kinds, use) {
		const input = $('file');
		input.value = '';
		input.accept = kinds;
		input.multiple = !kinds;
		input.onchange = () => use([...input.files]);
		input.click();
	},

	narrow: matchMedia('(max-width: 760px)'),

	// toggleSide shows or hides the conversations: over the page where it is narrow, beside it elsewhere.
	toggleSide(shown = page.narrow.matches ? !document.body.classList.contains('drawer') : document.body.classList.contains('alone')) {
		document.body.classList.toggle(page.narrow.matches ? 'drawer' : 'alone', page.narrow.matches ? shown : !shown);
		$('room').inert = page.narrow.matches && shown;
		(shown ? $('hide') : $('show')).focus();
	},

	hideDrawer() { if (document.body.classList.contains('drawer')) page.toggleSide(false); },

	// find goes to the search field.
	find() {
		if (page.narrow.matches ? !document.body.classList.contains('drawer') : document.body.classList.contains('alone')) page.toggleSide(true);
		$('find').select();
	},

	listen() {
		const on = (id, event, act) => $(id).addEventListener(event, act);
		const box = $('box');
		const send = () => {
			const text = box.value;
			if (runs.has(page.open.id) || !text.trim() && !page.open.media?.length) return;
			box.value = '';
			grown(box);
			page.say(text);
		};
		on('skip', 'click', () => box.focus());
		on('ask', 'submit', e => { e.preventDefault(); send(); });
		on('box', 'input', () => { grown(box); page.showSwitches(); });
		on('box', 'keydown', e => {
			if (sends(e)) {
				e.preventDefault();
				send();
			} else if (e.key === 'ArrowUp' && !box.value) {
				const last = tree.line(page.open).findLast(m => m.role === 'user');
				if (!last || runs.has(page.open.id)) return;
				e.preventDefault();
				page.turns.get(last.id).edit();
			}
		});
		on('box', 'paste', e => {
			if (e.clipboardData?.files.length) {
				e.preventDefault();
				page.attach([...e.clipboardData.files]);
			}
		});
		on('stop', 'click', () => runs.get(page.open.id)?.stop());
		for (const name of ['think', 'tools']) {
			on(name, 'click', () => {
				page.open[name] = !page.open[name];
				page.keepIfBegun(page.open);
				page.showSwitches();
			});
		}
		on('form', 'click', () => editSettings(page.open, 'schema'));
		on('settings', 'click', () => editSettings(page.open));
		on('keys', 'click', showKeys);
		for (const id of ['new', 'fresh']) on(id, 'click', () => page.newChat());
		on('show', 'click', () => page.toggleSide(true));
		on('hide', 'click', () => page.toggleSide(false));
		on('scrim', 'click', () => page.toggleSide(false));
		on('export', 'click', () => page.exportAll());
		on('import', 'click', () => page.pick('.json,application/json', async ([f]) => page.importAll(await f.text())));
		on('mic', 'click', () => media.record());
		on('attach', 'click', () => page.pick('', files => page.attach(files)));
		on('find', 'input', () => list.search($('find').value));
		on('find', 'keydown', e => {
			if (e.key !== 'Escape' || !$('find').value) return;
			e.stopPropagation();
			$('find').value = '';
			list.search('');
		});
		on('latest', 'click', () => { page.follows = true; page.follow(); });
		on('talk', 'scroll', () => {
			const talk = $('talk');
			page.follows = talk.scrollHeight - talk.scrollTop - talk.clientHeight < 48;
			$('latest').hidden = page.follows;
		});
		addEventListener('resize', () => page.follow());
		page.narrow.addEventListener('change', () => {
			document.body.classList.remove('drawer');
			$('room').inert = false;
		});
		addEventListener('hashchange', () => page.openNamed());
		// Such as a search where the disk fails.
		addEventListener('unhandledrejection', e => note('fault', e.reason.message));
		addEventListener('keydown', e => page.key(e));
		addEventListener('dragover', e => {
			if (!e.dataTransfer?.types.includes('Files')) return;
			e.preventDefault();
			$('drop').hidden = false;
		});
		addEventListener('dragleave', e => { if (!e.relatedTarget) $('drop').hidden = true; });
		addEventListener('drop', e => {
			$('drop').hidden = true;
			if (!e.dataTransfer?.files.length) return;
			e.preventDefault();
			page.attach([...e.dataTransfer.files]);
		});
		setInterval(() => { for (const run of runs.values()) if (run.thinkingSince) page.grew(run); }, 1000);
		$('hint').textContent = words.hint;
	},

	// key does what words.keyMap says.
	key(e) {
		if (document.querySelector('dialog[open],body[inert]')) return;
		const command = e.ctrlKey || e.metaKey;
		const writes = e.target.matches?.('input, textarea');
		const act = e.key === 'Escape' ? () => document.body.classList.contains('drawer') ? page.toggleSide(false) : runs.get(page.open.id)?.stop()
			: command && e.shiftKey && e.code === 'KeyO' ? () => page.newChat()
			: command && !e.shiftKey && e.code === 'KeyK' ? () => page.find()
			: command && !e.shiftKey && e.code === 'KeyB' ? () => page.toggleSide()
			: e.key === '?' && !writes ? showKeys : null;
		if (!act) return;
		e.preventDefault();
		act();
	},
};

page.start();
