'use strict';

// store keeps conversations in IndexedDB: what is said of each in one table, its messages in another, so that a list of hundreds is read
// without their texts. Where a browser keeps nothing, everything works until the page is closed.
const store = {
	base: location.pathname.replace(/\/*$/, '/'), // pages of several servers behind one proxy have conversations of their own
	db: null,
	waiting: 0, // transactions that have not ended

	open() {
		return new Promise((resolve, reject) => {
			const r = indexedDB.open('gemma4 ' + store.base, 1);
			r.onupgradeneeded = () => {
				r.result.createObjectStore('conversations', {keyPath: 'id'});
				r.result.createObjectStore('messages', {keyPath: ['conversation', 'id']});
			};
			r.onsuccess = () => {
				store.db = r.result;
				store.db.onversionchange = () => store.db.close();
				resolve();
			};
			r.onerror = () => reject(r.error);
			r.onblocked = () => reject(new Error('blocked'));
		});
	},

	// transact runs use(conversations, messages), and resolves when all of it is kept: with the result of the request that use returns. It is
	// kept even if the page is closed at once.
	transact(mode, use) {
		if (!store.db) return Promise.resolve();
		store.waiting++;
		return new Promise((resolve, reject) => {
			const t = store.db.transaction(['conversations', 'messages'], mode);
			t.oncomplete = () => resolve(r?.result);
			t.onabort = () => reject(t.error);
			const r = use(t.objectStore('conversations'), t.objectStore('messages'));
			t.commit();
		}).finally(() => store.waiting--);
	},

	list: async () => (await store.transact('readonly', c => c.getAll())) ?? [],
	within: id => IDBKeyRange.bound([id], [id, []]),
	messages: async id => (await store.transact('readonly', (_, m) => m.getAll(store.within(id)))) ?? [],
	allMessages: async () => (await store.transact('readonly', (_, m) => m.getAll())) ?? [],

	// keep writes a conversation and some of its messages.
	keep(conversation, messages = []) {
		if (conversation.removed) return Promise.resolve();
		const {id, title, created, updated, system, schema, think, tools, chosen} = conversation;
		return store.transact('readwrite', (c, m) => {
			c.put({id, title, created, updated, system, schema, think, tools, chosen});
			for (const x of messages) m.put(x);
		}).catch(e => note('fault', words.notKept(e?.message ?? e)));
	},

	// remove returns the messages that it removes.
	remove: id => store.transact('readwrite', (c, m) => {
		const removed = m.getAll(store.within(id));
		c.delete(id);
		m.delete(store.within(id));
		return removed;
	}),
};
