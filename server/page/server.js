'use strict';

// Refusal is what the server said instead of an answer: status is HTTP's, 0 for an error in the middle of an answer; after is the number of
// seconds after which it may be asked again, if it said so.
class Refusal extends Error {
	constructor(message, status, after) {
		super(message);
		this.status = status;
		this.after = after;
	}
}

// Lost is a connection that ended before the answer did.
class Lost extends Error {}

const server = {
	silence: 90, // seconds without a byte, not even a ping, after which a connection is lost
	model: '',
	context: 0,
	sees: false, // it takes pictures,
	hears: false, // and sounds

	get key() { return sessionStorage.getItem('key ' + store.base) ?? ''; },
	set key(key) { sessionStorage.setItem('key ' + store.base, key); },

	// call sends a request to a path beside this page.
	async call(path, body, signal) {
		const headers = {};
		if (server.key) headers.Authorization = 'Bearer ' + server.key;
		if (body) headers['Content-Type'] = 'application/json';
		const init = {method: body ? 'POST' : 'GET', headers, body: body && JSON.stringify(body), signal, cache: 'no-store'};
		let response;
		try {
			response = await fetch(store.base + path, init);
		} catch (e) {
			throw signal?.aborted ? e : new Lost(words.unreachable);
		}
		if (response.ok) return response;
		const text = await response.text().catch(() => '');
		let said;
		try {
			said = JSON.parse(text).error;
		} catch {}
		const message = typeof said === 'string' ? said : said?.message;
		const after = Number.parseFloat(response.headers.get('Retry-After'));
		throw new Refusal(typeof message === 'string' ? message : words.oddAnswer(response.status), response.status,
			Number.isFinite(after) ? Math.min(Math.max(after, 0), 3600) : undefined);
	},

	// models asks for the model and its context.
	async models() {
		const {data} = await (await server.call('v1/models')).json();
		const model = data?.[0];
		if (typeof model?.id === 'string') server.model = model.id;
		const can = Array.isArray(model?.capabilities) ? model.capabilities : [];
		server.sees = can.includes('vision');
		server.hears = can.includes('audio');
		server.context = [model?.max_model_len, model?.meta?.n_ctx].find(n => Number.isFinite(n) && n > 0) ?? 0;
	},

	// tokens returns how many tokens a text has.
	async tokens(text) {
		const {tokens} = await (await server.call('tokenize', {content: text})).json();
		return tokens.length;
	},

	// complete yields the chunks of an answer.
	async *complete(body, signal) {
		const own = new AbortController();
		const abort = () => own.abort();
		signal.addEventListener('abort', abort);
		let timer;
		const awake = () => {
			clearTimeout(timer);
			timer = setTimeout(abort, server.silence * 1000);
		};
		try {
			awake();
			const response = await server.call('v1/chat/completions', body, own.signal);
			if (!response.headers.get('Content-Type')?.startsWith('text/event-stream')) {
				throw new Refusal(words.oddAnswer(response.status), response.status);
			}
			let finished = false;
			for await (const data of events(response.body, awake)) {
				if (data === '[DONE]') return;
				let chunk;
				try {
					chunk = JSON.parse(data);
				} catch {
					throw new Lost(words.lost); // cut in the middle
				}
				if (chunk?.error) throw new Refusal(String(chunk.error.message ?? chunk.error), 0);
				finished ||= !!chunk?.choices?.[0]?.finish_reason;
				yield chunk;
			}
			if (!finished) throw new Lost(words.lost);
		} catch (e) {
			throw signal.aborted || e instanceof Refusal || e instanceof Lost ? e : new Lost(words.lost);
		} finally {
			clearTimeout(timer);
			signal.removeEventListener('abort', abort);
			own.abort(); // whoever stops listening stops the server, too
		}
	},
};

// events yields the data of each server-sent event of a body; awake is called for each piece that arrives, comments too.
async function* events(body, awake) {
	const reader = body.pipeThrough(new TextDecoderStream()).getReader();
	let rest = '', data = [];
	for (;;) {
		const {value, done} = await reader.read();
		if (done) return;
		awake();
		const lines = (rest + value).split('\n');
		rest = lines.pop();
		for (let line of lines) {
			if (line.endsWith('\r')) line = line.slice(0, -1);
			if (line === '') {
				if (data.length) yield data.join('\n');
				data = [];
			} else if (line.startsWith('data:')) {
				data.push(line.slice(line[5] === ' ' ? 6 : 5));
			}
		}
	}
}
