'use strict';

// list shows the conversations there are, the newest first, or those in which what is searched for was said.
const list = {
	found: null, // id → what is around the words that are searched for; null: all are shown

	show() {
		const shown = [...page.all.values()].filter(c => !list.found || list.found.has(c.id)).sort((a, b) => b.updated - a.updated);
		const today = new Date().setHours(0, 0, 0, 0);
		const groups = [
			[words.today, c => c.updated >= today],
			[words.week, c => c.updated >= today - 6 * 86400e3],
			[words.older, () => true],
		];
		const parts = [];
		for (const [name, within] of groups) {
			const rows = [];
			while (shown.length && within(shown[0])) rows.push(list.row(shown.shift()));
			if (rows.length) parts.push(make('h2', {}, name), make('ul', {}, ...rows));
		}
		if (!parts.length) parts.push(make('p', {}, list.found ? words.nothingFound : words.noConversations));
		$('list').replaceChildren(...parts);
	},

	row(c) {
		const run = runs.get(c.id);
		const found = list.found?.get(c.id);
		const open = make('a.open', {href: '#' + c.id, onclick: () => page.hideDrawer()}, make('span.title', {}, c.title || words.untitled),
			found && make('span.found', {}, found));
		const row = make('li', {}, open);
		if (page.open === c) {
			row.classList.add('current');
			open.setAttribute('aria-current', 'page');
		}
		if (run) {
			open.append(make('span.dot', {role: 'img', 'aria-label': words.running}));
			row.append(iconButton('stop', `${words.stop}: ${c.title}`, () => run.stop()));
		}
		row.append(iconButton('edit', `${words.rename}: ${c.title}`, () => list.rename(c, row)),
			iconButton('delete', `${words.remove}: ${c.title}`, () => page.remove(c)));
		return row;
	},

	rename(c, row) {
		const box = make('input', {value: c.title, 'aria-label': words.rename, maxLength: 200});
		let ended = false;
		const end = keep => {
			if (ended) return;
			ended = true;
			if (keep && box.value.trim()) {
				c.title = box.value.trim();
				store.keep(c);
				page.showTitle();
			}
			list.show();
			list.focus(c);
		};
		box.addEventListener('keydown', e => {
			if (e.key === 'Enter' && !e.isComposing) end(true);
			if (e.key === 'Escape') end(false);
			e.stopPropagation();
		});
		box.addEventListener('blur', () => end(true));
		row.replaceChildren(box);
		box.select();
	},

	focus: c => $('list').querySelector(`a[href="#${CSS.escape(c.id)}"]`)?.focus(),

	// search finds text in titles and in all that was said.
	async search(text) {
		const wanted = text.trim().toLowerCase();
		if (!wanted) {
			list.found = null;
			return list.show();
		}
		const kept = await store.allMessages();
		if (wanted !== $('find').value.trim().toLowerCase()) return; // more was typed meanwhile
		const found = new Map();
		for (const c of page.all.values()) {
			if (c.title.toLowerCase().includes(wanted)) found.set(c.id, '');
			if (!store.db) kept.push(...c.messages.values());
		}
		for (const m of kept) {
			if (found.has(m.conversation)) continue;
			const at = m.content.toLowerCase().indexOf(wanted);
			if (at < 0) continue;
			const from = Math.max(0, at - 20);
			found.set(m.conversation, (from ? '…' : '') + m.content.slice(from, at + wanted.length + 40).replace(/\s+/g, ' '));
		}
		list.found = found;
		list.show();
	},
};
