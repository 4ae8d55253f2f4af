'use strict';

// A conversation is a tree of messages: to try again, or to edit, grows a branch, and nothing is ever overwritten. A message knows its parent
// ('' is the root); the conversation knows which child of each was chosen last, and the line of the chosen ones is what is shown and sent.
//
// Of a conversation: {id, title, created, updated, system, schema, think, tools, chosen: {parent: child}}, and in memory messages and
// children. Of a message: {conversation, id, parent, role, created, content}, of the user also {media}, for an answer also {thought, thoughtSeconds, calls: [{id, name,
// arguments}], finish, fault, usage, timings, formed}, for the result of a tool {call, name}.
const tree = {
	lastID: 0,

	// newID returns an id that sorts after all earlier ones.
	newID() {
		tree.lastID = Math.max(Date.now() * 64, tree.lastID + 1);
		const random = crypto.getRandomValues(new Uint32Array(1))[0];
		return tree.lastID.toString(36).padStart(11, '0') + random.toString(36).padStart(7, '0');
	},

	// conversation returns a new one; like is one whose switches it takes over.
	conversation(like) {
		const now = Date.now();
		return tree.grown({id: tree.newID(), title: '', created: now, updated: now, system: '', schema: '', think: !!like?.think,
			tools: !!like?.tools, chosen: {}}, []);
	},

	// grown returns the conversation c with its messages in place.
	grown(c, messages) {
		c.messages = new Map();
		c.children = new Map();
		for (const m of messages.sort((a, b) => a.id < b.id ? -1 : 1)) tree.place(c, m);
		return c;
	},

	place(c, m) {
		c.messages.set(m.id, m);
		if (!c.children.has(m.parent)) c.children.set(m.parent, []);
		c.children.get(m.parent).push(m);
	},

	// add grows a message below parent, and chooses it.
	add(c, parent, role, fields) {
		const m = {conversation: c.id, id: tree.newID(), parent, role, created: Date.now(), content: '', ...fields};
		tree.place(c, m);
		c.chosen[parent] = m.id;
		c.updated = m.created;
		return m;
	},

	// line returns the chosen messages from the first to the last.
	line(c) {
		const line = [];
		for (let at = '';;) {
			const all = c.children.get(at);
			if (!all) return line;
			const m = all.find(m => m.id === c.chosen[at]) ?? all.at(-1);
			line.push(m);
			at = m.id;
		}
	},

	// above returns the messages from the first to that with this id.
	above(c, id) {
		const line = [];
		for (let m = c.messages.get(id); m; m = c.messages.get(m.parent)) line.unshift(m);
		return line;
	},

	versions: (c, m) => c.children.get(m.parent),

	// title is the beginning of what was said first.
	title: text => {
		const line = text.trim().split('\n', 1)[0].replace(/\s+/g, ' ');
		return line.length > 60 ? line.slice(0, 59).trimEnd() + '…' : line;
	},
};
