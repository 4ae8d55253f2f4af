'use strict';

// An answer is made by a run, one for each conversation at most; conversations are answered at the same time, shown or not.
// page.changed(c) is called when messages come or a run begins or ends, page.grew(run) when one has become longer.
const runs = new Map(); // by the conversation's id

const rounds = 8; // of calls, before the user is asked

class Run {
	constructor(conversation) {
		this.conversation = conversation;
		this.controller = new AbortController();
		this.message = null; // that is being written
		this.progress = null; // of the prompt: {total, cache, processed, time_ms}
		this.wait = null; // until the server is asked again: {text, until, now()}
		this.thinkingSince = 0;
		this.kept = 0; // the timer that keeps the message
	}

	stop() { this.controller.abort(); }

	// seconds of thought so far.
	get thought() {
		return (this.message.thoughtSeconds ?? 0) + (this.thinkingSince ? (performance.now() - this.thinkingSince) / 1000 : 0);
	}

	// answer writes an answer below the message parent, or goes on with the message resumed, and calls tools until text comes.
	async answer(parent, resumed) {
		const c = this.conversation;
		try {
			for (let round = 1; ; round++) {
				const m = this.message = resumed ?? tree.add(c, parent, 'assistant', {});
				const from = resumed && m.content;
				resumed = null;
				delete m.finish;
				delete m.fault;
				page.changed(c);
				await this.stream(m, from);
				if (!m.calls?.length) break;
				if (m.finish === 'length') { // in the middle of a call
					delete m.calls;
					break;
				}
				parent = m.id;
				const results = m.calls.map(call => {
					const result = tree.add(c, parent, 'tool', {call: call.id, name: call.name, content: runTool(call)});
					parent = result.id;
					return result;
				});
				await store.keep(c, [m, ...results]);
				if (round === rounds) {
					m.fault = words.rounds(rounds);
					break;
				}
			}
		} catch (e) {
			const m = this.message;
			this.pause();
			m.finish ??= 'stopped';
			delete m.calls; // one that was cut off cannot be run
			if (!this.controller.signal.aborted) m.fault = e instanceof Refusal || e instanceof Lost ? e.message : String(e);
		} finally {
			runs.delete(c.id);
			c.updated = Date.now();
			await store.keep(c, [this.message]);
			page.changed(c);
		}
	}

	// stream asks for one message, again where the server says that it may come back.
	async stream(m, from) {
		for (let tries = 0; ; tries++) {
			try {
				for await (const chunk of server.complete(request(this.conversation, m, from), this.controller.signal)) this.take(m, chunk);
				this.pause();
				m.finish ??= 'stop';
				m.calls &&= m.calls.filter(call => call); // a server may number them as it likes
				return;
			} catch (e) {
				if (e.status === 401) {
					if (!await askKey()) throw e;
				} else if (e.status === 429 || e.status === 503) {
					await this.sleep(e.after ?? Math.min(2 ** tries, 30), `${e.status === 429 ? words.busy : words.loading} ${e.message}`);
				} else {
					throw e;
				}
			}
		}
	}

	// sleep waits before the server is asked again, shows it, and ends early when it is told to.
	async sleep(seconds, text) {
		const {signal} = this.controller;
		try {
			await new Promise((resolve, reject) => {
				const end = then => {
					clearTimeout(timer);
					clearInterval(tick);
					signal.removeEventListener('abort', stop);
					then(signal.reason);
				};
				const stop = () => end(reject);
				const timer = setTimeout(() => end(resolve), seconds * 1000);
				const tick = setInterval(() => page.grew(this), 500);
				signal.addEventListener('abort', stop);
				this.wait = {text, until: performance.now() + seconds * 1000, now: () => end(resolve)};
				page.grew(this);
			});
		} finally {
			this.wait = null;
			page.grew(this);
		}
	}

	// take adds a chunk to the message.
	take(m, chunk) {
		if (chunk.prompt_progress) this.progress = chunk.prompt_progress;
		if (chunk.timings) m.timings = chunk.timings;
		if (chunk.usage) m.usage = {prompt_tokens: chunk.usage.prompt_tokens, completion_tokens: chunk.usage.completion_tokens};
		const choice = chunk.choices?.[0];
		const delta = choice?.delta ?? {};
		const thought = delta.reasoning_content ?? delta.reasoning;
		if (thought && typeof thought === 'string') {
			this.thinkingSince ||= performance.now();
			m.thought = (m.thought ?? '') + thought;
			this.progress = null;
		}
		if (delta.content && typeof delta.content === 'string') {
			this.pause();
			m.content += delta.content;
			this.progress = null;
		}
		for (const part of delta.tool_calls ?? []) {
			this.pause();
			this.progress = null;
			m.calls ??= [];
			const call = m.calls[Math.min(part.index >>> 0, 127)] ??= {id: '', name: '', arguments: ''};
			if (typeof part.id === 'string') call.id = part.id;
			if (typeof part.function?.name === 'string') call.name = part.function.name;
			if (typeof part.function?.arguments === 'string') call.arguments += part.function.arguments;
		}
		if (choice?.finish_reason) m.finish = String(choice.finish_reason);
		page.grew(this);
		this.kept ||= setTimeout(() => { // a reload loses a second at most
			this.kept = 0;
			store.keep(this.conversation, [m]);
		}, 1000);
	}

	// pause ends the time of thinking.
	pause() {
		if (!this.thinkingSince) return;
		this.message.thoughtSeconds = this.thought;
		this.thinkingSince = 0;
	}
}

// answer starts a run in c, unless one is at work.
function answer(c, parent, resumed) {
	if (runs.has(c.id)) return;
	const run = new Run(c);
	runs.set(c.id, run);
	run.answer(parent, resumed);
}

// request returns the body that asks for the message m, from its beginning, or on from what it says so far.
function request(c, m, from) {
	const messages = tree.above(c, m.parent).map(m => {
		if (m.role === 'tool') return {role: 'tool', tool_call_id: m.call, name: m.name, content: m.content};
		if (m.role === 'user') return {role: 'user', content: media.parts(m)};
		return said(m, m.content);
	});
	if (c.system.trim()) messages.unshift({role: 'system', content: c.system});
	const body = {
		model: server.model, messages, stream: true, stream_options: {include_usage: true}, return_progress: true, timings_per_token: true,
		chat_template_kwargs: {enable_thinking: c.think},
	};
	for (const name of sampling) {
		const value = settings.sampling[name];
		if (value !== undefined && name !== 'budget') body[name] = value;
	}
	m.formed = !!c.schema;
	if (c.schema) body.response_format = {type: 'json_schema', json_schema: {name: 'answer', strict: true, schema: JSON.parse(c.schema)}};
	if (c.tools) body.tools = toolList;
	if (from) {
		messages.push(said(m, from));
		body.continue_final_message = true;
		body.add_generation_prompt = false;
	}
	return body;
}

function said(m, content) {
	const out = {role: 'assistant', content};
	if (m.thought) out.reasoning_content = m.thought;
	if (m.calls) {
		out.tool_calls = m.calls.map(({id, name, arguments: text}) => ({id, type: 'function', function: {name, arguments: text}}));
	}
	return out;
}

const sampling = ['temperature', 'top_p', 'top_k', 'max_tokens', 'seed', 'budget']; // that of a picture goes with it

// settings are those of all conversations: {sampling: {temperature, …}, theme}.
const settings = {
	sampling: {},
	theme: '',

	load() {
		try {
			const kept = JSON.parse(localStorage.getItem('settings ' + store.base)) ?? {};
			for (const name of sampling) if (Number.isFinite(kept[name])) settings.sampling[name] = kept[name];
			if (['light', 'dark'].includes(kept.theme)) settings.theme = kept.theme;
		} catch {} // nothing is kept here, or what is kept is not ours
		settings.show();
	},

	keep() {
		try {
			localStorage.setItem('settings ' + store.base, JSON.stringify({...settings.sampling, theme: settings.theme}));
		} catch {}
		settings.show();
	},

	show() { document.documentElement.dataset.theme = settings.theme; },
};
