// A server that says what a test tells it to, in the words of the API.
import {execFileSync} from 'node:child_process';
import http from 'node:http';
import {fileURLToPath} from 'node:url';

const document = JSON.parse(execFileSync('go', ['run', '.'], {cwd: fileURLToPath(new URL('.', import.meta.url)), maxBuffer: 1 << 24}));

// Reply is what goes back for one request for an answer. Whatever it sends, it begins the stream if that has not begun.
class Reply {
	constructor(request, response, body) {
		Object.assign(this, {request, response, body});
		this.gone = new Promise(resolve => response.on('close', resolve)); // the client, or the end
	}

	raw(text) {
		if (!this.response.headersSent) this.response.writeHead(200, {'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store'});
		this.response.write(text);
		return this;
	}

	chunk(chunk) { return this.raw(`data: ${JSON.stringify({id: 'chatcmpl-1', object: 'chat.completion.chunk', created: 1, model: 'fake', ...chunk})}\n\n`); }

	delta(delta, more) { return this.chunk({choices: [{index: 0, delta, finish_reason: null}], ...more}); }

	// text sends a text, a word in each chunk.
	text(text) {
		for (const word of text.match(/\s*\S+|\s+$/g) ?? []) this.delta({content: word});
		return this;
	}

	thought(text) { return this.delta({reasoning_content: text}); }

	call(index, name, given) {
		this.delta({tool_calls: [{index, id: 'call_' + index, type: 'function', function: {name, arguments: ''}}]});
		return this.delta({tool_calls: [{index, function: {arguments: given}}]});
	}

	progress(processed, total, cache = 0, ms = processed) { return this.chunk({choices: [], prompt_progress: {total, cache, processed, time_ms: ms}}); }

	end(reason = 'stop', usage = {prompt_tokens: 20, completion_tokens: 10}) {
		this.chunk({choices: [{index: 0, delta: {}, finish_reason: reason}],
			timings: {cache_n: 0, prompt_n: usage.prompt_tokens, predicted_n: usage.completion_tokens, predicted_per_second: 12.34}});
		this.chunk({choices: [], usage: {...usage, total_tokens: usage.prompt_tokens + usage.completion_tokens}});
		this.raw('data: [DONE]\n\n').response.end();
	}

	refuse(status, message, headers = {}) {
		this.response.writeHead(status, {'Content-Type': 'application/json', ...headers});
		this.response.end(JSON.stringify({error: {message, type: 'some_error', param: null, code: null}}));
	}

	cut() { this.response.destroy(); }
}

export class Fake {
	// replies are functions of a Reply, one for each request; the last is for all that follow.
	constructor(...replies) {
		this.replies = replies.length ? replies : [r => r.text('Paris.').end()];
		this.bodies = []; // of requests for answers
		this.paths = []; // of all requests
		this.reports = []; // of violations of the policy
		this.models = (_, response) => Fake.json(response, {data: [{id: 'fake-4b', object: 'model', max_model_len: 1000, meta: {n_ctx: 1000}}]});
	}

	static json(response, x, status = 200) {
		response.writeHead(status, {'Content-Type': 'application/json'});
		response.end(JSON.stringify(x));
	}

	async start(prefix = '') {
		// It waits for ever: no timer of its own ends a connection that the page is about to use.
		this.server = http.createServer({keepAliveTimeout: 0, headersTimeout: 0, requestTimeout: 0}, async (request, response) => {
			this.paths.push(request.url);
			let text = '';
			for await (const piece of request) text += piece;
			const path = request.url.startsWith(prefix) ? request.url.slice(prefix.length) : '';
			switch (path) {
			case '/':
				return response.writeHead(200, {...document.header,
					'Content-Security-Policy': document.header['Content-Security-Policy'] + '; report-uri ' + prefix + '/report'}).end(document.body);
			case '/report':
				this.reports.push(text);
				return response.writeHead(204).end();
			case '/v1/models':
				return this.models(request, response);
			case '/tokenize':
				return Fake.json(response, {tokens: JSON.parse(text).content.match(/\S+/g).map((_, i) => i)});
			case '/v1/chat/completions': {
				const body = JSON.parse(text);
				this.bodies.push(body);
				const reply = this.replies.length > 1 ? this.replies.shift() : this.replies[0];
				return reply(new Reply(request, response, body));
			}
			}
			response.writeHead(404).end();
		});
		await new Promise(resolve => this.server.listen(0, '127.0.0.1', resolve));
		this.address = `http://127.0.0.1:${this.server.address().port}${prefix}/`;
		return this;
	}

	stop() {
		this.server.closeAllConnections();
		this.server.close();
	}
}
