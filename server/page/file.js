'use strict';

// file is a set of conversations as JSON, each with its whole tree:
// {"format": "gemma4-conversations", "version": 1, "conversations": [{…, "messages": [{…}]}]}.
const file = {
	format: 'gemma4-conversations',

	write(conversations, messages) {
		const of = Map.groupBy(messages, m => m.conversation);
		const all = conversations.map(c => ({...c, messages: (of.get(c.id) ?? []).map(({conversation, ...m}) => m)}));
		return JSON.stringify({format: file.format, version: 1, conversations: all}, null, '\t');
	},

	// read returns [{conversation, messages}] of a text, or throws an Error that says where the text is wrong. What it does not know is left
	// out: a file is what somebody else wrote.
	read(text) {
		let all;
		try {
			all = JSON.parse(text);
		} catch (e) {
			throw new Error(words.file.notJSON(e.message));
		}
		if (all?.format !== file.format) throw new Error(words.file.notOurs);
		if (all.version !== 1) throw new Error(words.file.version(String(all.version)));
		const wrong = (where, what) => { throw new Error(words.file.wrong(where, what)); };
		const kinds = {
			id: v => typeof v === 'string' && /^[\w-]{1,64}$/.test(v),
			parent: v => typeof v === 'string' && /^[\w-]{0,64}$/.test(v),
			text: v => typeof v === 'string',
			number: v => Number.isFinite(v) && v >= 0,
			flag: v => typeof v === 'boolean',
			role: v => ['user', 'assistant', 'tool'].includes(v),
			numbers: v => v && typeof v === 'object' && !Array.isArray(v),
			ids: v => v && typeof v === 'object' && Object.entries(v).every(([k, x]) => kinds.parent(k) && kinds.id(x)),
			media: v => Array.isArray(v) && v.every(x => x && ['image', 'audio'].includes(x.kind) && kinds.text(x.name) && kinds.text(x.data) &&
				media.valid.test(x.data)),
			calls: v => Array.isArray(v) && v.every(c => c && [c.id, c.name, c.arguments].every(kinds.text)),
		};
		// take copies the fields of a form: a name that begins with ? may be missing.
		const take = (from, form, where) => {
			if (!from || typeof from !== 'object') wrong(where, 'is no object');
			const out = {};
			for (const [name, kind] of Object.entries(form)) {
				const key = name.replace('?', '');
				if (from[key] === undefined && name !== key) continue;
				if (!kinds[kind](from[key])) wrong(where, `has no ${key} that can be used`);
				out[key] = from[key];
			}
			return out;
		};
		const numbers = from => Object.fromEntries(Object.entries(from).filter(([, v]) => kinds.number(v)));
		if (!Array.isArray(all.conversations)) wrong('conversations', 'is no list');
		return all.conversations.map((from, i) => {
			const where = `conversation ${i + 1}`;
			const conversation = {system: '', schema: '', think: false, tools: false, chosen: {}, ...take(from, {id: 'id', title: 'text',
				created: 'number', updated: 'number', '?system': 'text', '?schema': 'text', '?think': 'flag', '?tools': 'flag',
				'?chosen': 'ids'}, where)};
			if (!Array.isArray(from.messages)) wrong(where, 'has no list of messages');
			const before = new Set(['']);
			const messages = from.messages.map((m, j) => {
				const at = `${where}, message ${j + 1}`;
				const out = take(m, {id: 'id', parent: 'parent', role: 'role', created: 'number', content: 'text', '?media': 'media', '?thought': 'text',
					'?thoughtSeconds': 'number', '?calls': 'calls', '?finish': 'text', '?fault': 'text', '?usage': 'numbers',
					'?timings': 'numbers', '?formed': 'flag', '?edited': 'flag', '?call': 'text', '?name': 'text'}, at);
				if (before.has(out.id)) wrong(at, 'has the id of one before it');
				if (!before.has(out.parent)) wrong(at, 'has a parent that does not come before it');
				before.add(out.id);
				if (out.calls) out.calls = out.calls.map(({id, name, arguments: text}) => ({id, name, arguments: text}));
				if (out.media) out.media = out.media.map(({kind, name, data}) => ({kind, name, data}));
				if (out.usage) out.usage = numbers(out.usage);
				if (out.timings) out.timings = numbers(out.timings);
				return {...out, conversation: conversation.id};
			});
			return {conversation, messages};
		});
	},
};
