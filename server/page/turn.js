'use strict';

// Turn shows one message: what was said, and what can be done with it. An answer's calls stand in it with their results.
class Turn {
	constructor(c, m) {
		this.c = c;
		this.m = m;
		this.box = make(`article.turn.${m.role}`, {'aria-label': m.role === 'user' ? words.you : words.answer});
		this.body = make('div.said');
		this.foot = make('div.foot');
		if (m.role === 'user') {
			if (m.media?.length) this.box.append(make('div.media', {role: 'list', 'aria-label': words.media}, ...media.boxes(m.media)));
			this.box.append(this.body, this.foot);
			return;
		}
		this.thoughtBox = make('div.prose');
		this.thought = make('details.thought', {ontoggle: () => this.show()}, make('summary'), this.thoughtBox);
		this.thoughtProse = new Prose(this.thoughtBox);
		this.body.classList.add('prose');
		this.prose = new Prose(this.body);
		this.calls = make('div.calls');
		this.state = make('div.state');
		this.fault = make('div.fault');
		this.box.append(this.thought, this.body, this.calls, this.state, this.fault, this.foot);
	}

	get run() {
		const run = runs.get(this.c.id);
		return run?.message === this.m ? run : undefined;
	}

	// show brings all of it up to date. last says that no message follows.
	show(last = this.last) {
		this.last = last;
		if (this.editing) return;
		if (this.m.role === 'user') {
			this.body.textContent = this.m.content;
			this.body.hidden = !this.m.content;
		} else this.showAnswer();
		this.showFoot();
	}

	showAnswer() {
		const {m, run} = this;
		this.thought.hidden = !m.thought;
		if (m.thought) {
			const thinking = !!run?.thinkingSince;
			const said = thinking ? words.thinking(run.thought) : words.thought(m.thoughtSeconds ?? 0);
			const summary = this.thought.firstChild;
			if (summary.textContent !== said) summary.textContent = said;
			if (this.thought.open) this.thoughtProse.show(m.thought, !thinking);
		}
		this.body.hidden = !m.content;
		if (m.formed) this.showForm();
		else this.prose.show(m.content, !run);
		this.showCalls();
		this.showState();
		this.showFault();
		this.box.setAttribute('aria-busy', String(!!run));
	}

	// showForm shows JSON as it was written.
	showForm() {
		let code = this.body.querySelector('code');
		if (!code) {
			code = make('code');
			this.body.replaceChildren(prose.codeBox(make('pre', {}, code), 'json'));
		}
		code.textContent = this.m.content;
	}

	showCalls() {
		const calls = this.m.calls ?? [];
		calls.forEach((call, i) => {
			const box = this.calls.children[i] ?? this.calls.appendChild(make('details.call', {}, make('summary', {}, icon('tools'), make('span')),
				make('h3', {}, words.arguments), make('pre', {tabIndex: 0, role: 'region', 'aria-label': words.arguments}),
				make('h3', {}, words.result), make('pre', {tabIndex: 0, role: 'region', 'aria-label': words.result})));
			const result = this.resultOf(call);
			const [given, came] = box.querySelectorAll('pre');
			const said = result ? words.called(call.name) : words.calls(call.name);
			if (box.firstChild.lastChild.textContent !== said) box.firstChild.lastChild.textContent = said;
			if (given.textContent !== call.arguments) given.textContent = call.arguments;
			came.hidden = came.previousSibling.hidden = !result;
			came.textContent = result?.content ?? '';
		});
		while (this.calls.children.length > calls.length) this.calls.lastChild.remove();
	}

	// resultOf returns the message with the result of a call: the results follow the calls, one below the other.
	resultOf(call) {
		for (let [at] = this.c.children.get(this.m.id) ?? []; at?.role === 'tool'; [at] = this.c.children.get(at.id) ?? []) {
			if (at.call === call.id && !this.m.calls.some(x => x !== call && x.id === call.id)) return at;
			if (this.m.calls.indexOf(call) === this.depth(at)) return at;
		}
	}

	depth(result) {
		let n = 0;
		for (let at = this.c.messages.get(result.parent); at !== this.m; at = this.c.messages.get(at.parent)) n++;
		return n;
	}

	// showState shows what the model is at, as long as there is no text to see.
	showState() {
		const {m, run} = this;
		this.state.hidden = !run || !!run.wait;
		if (this.state.hidden) return this.state.replaceChildren();
		const p = run.progress;
		if (p?.total > 0 && p.processed < p.total) {
			if (!this.state.querySelector('progress')) {
				this.state.replaceChildren(make('progress', {'aria-label': words.waiting}), make('span'));
			}
			const [bar, text] = this.state.children;
			bar.max = p.total;
			bar.value = p.processed;
			const read = p.processed - (p.cache ?? 0);
			const left = read > 0 ? p.time_ms / 1000 / read * (p.total - p.processed) : 0;
			text.textContent = words.reading(p.processed, p.total) + (left >= 1 ? ' · ' + words.left(left) : '');
		} else if (!this.state.querySelector('.dots')) {
			this.state.replaceChildren(make('span.dots', {role: 'img', 'aria-label': words.waiting}, make('i'), make('i'), make('i')));
		}
		this.state.classList.toggle('more', !!m.content);
	}

	showFault() {
		const {m, run} = this;
		if (run?.wait) {
			this.fault.classList.add('calm');
			if (!this.fault.querySelector('.wait')) {
				this.fault.replaceChildren(make('span', {role: 'alert'}, run.wait.text), make('span.wait'),
					make('button.plain', {type: 'button', onclick: () => this.run?.wait?.now()}, words.tryNow));
			}
			this.fault.firstChild.textContent = run.wait.text;
			this.fault.children[1].textContent = words.againIn((run.wait.until - performance.now()) / 1000);
		} else if (m.fault && !run) {
			if (this.fault.firstChild?.textContent === m.fault && !this.fault.querySelector('.wait')) return;
			this.fault.classList.remove('calm');
			this.fault.replaceChildren(make('span', {role: 'alert'}, m.fault),
				make('button.plain', {type: 'button', onclick: () => this.continues ? page.goOn(m) : page.retry(m)}, words.retry));
		} else {
			this.fault.replaceChildren();
		}
	}

	// continues reports whether the answer can go on from where it ended.
	get continues() {
		const {m} = this;
		return this.last && !this.run && !m.formed && !!m.content && !m.calls && (m.finish !== 'stop' || !!m.edited);
	}

	showFoot() {
		const {c, m, run, last} = this;
		const versions = tree.versions(c, m);
		const idle = !runs.has(c.id);
		const middle = m.role === 'assistant' && !!m.calls && !last;
		const state = [versions.length, versions.indexOf(m), idle, middle, this.continues, last].join();
		if (state !== this.footState) {
			this.footState = state;
			const had = this.foot.contains(document.activeElement) && document.activeElement.dataset.does;
			const button = (name, label, act) => {
				const b = iconButton(name, label, act);
				b.dataset.does = name;
				return b;
			};
			const parts = [];
			if (versions.length > 1) {
				const i = versions.indexOf(m);
				const before = button('before', words.before, () => page.choose(m, -1));
				const after = button('after', words.after, () => page.choose(m, 1));
				before.disabled = i === 0;
				after.disabled = i === versions.length - 1;
				parts.push(make('span.versions', {role: 'group', 'aria-label': words.versionSpoken(i + 1, versions.length)}, before,
					make('span', {}, words.version(i + 1, versions.length)), after));
			}
			if (m.content && !middle) parts.push(copyButton(words.copy, () => m.content));
			if (idle && !middle) {
				if (m.role === 'assistant') parts.push(button('retry', words.retry, () => page.retry(m)));
				if (m.role === 'user' || m.content) parts.push(button('edit', words.edit, () => this.edit()));
			}
			if (this.continues) {
				parts.push(make('button.plain.go', {type: 'button', onclick: () => page.goOn(m)}, words.goOn));
			}
			this.stats = make('span.stats');
			this.foot.replaceChildren(...parts, this.stats);
			this.foot.hidden = !parts.length && middle;
			if (had) this.foot.querySelector(`[data-does=${had}]`)?.focus();
		}
		if (m.role !== 'assistant' || middle) return;
		const stats = [];
		if (!run && (m.finish ?? 'stopped') === 'stopped' && !m.edited) stats.push(words.stopped);
		if (!run && m.finish === 'length') stats.push(words.cut);
		if (m.edited) stats.push(words.edited);
		const n = run ? m.timings?.predicted_n : m.usage?.completion_tokens ?? m.timings?.predicted_n;
		if (n > 0) stats.push(words.tokens(n));
		if (n > 0 && m.timings?.predicted_per_second > 0) stats.push(words.speed(m.timings.predicted_per_second));
		const text = stats.join(' · ');
		if (this.stats.textContent !== text) this.stats.textContent = text;
	}

	// edit puts a box in the place of the text; what is saved is another version.
	edit() {
		this.editing = true;
		const {m} = this;
		const text = make('textarea', {value: m.content, rows: 1, 'aria-label': words.edit});
		const end = () => {
			this.editing = false;
			form.remove();
			this.body.hidden = this.foot.hidden = false;
			this.show();
		};
		const save = () => {
			end();
			if (text.value.trim() && text.value !== m.content) page.edit(m, text.value);
			else this.foot.querySelector('[data-does=edit]')?.focus();
		};
		const form = make('form.edit', {onsubmit: e => { e.preventDefault(); save(); }}, text, make('div.end', {},
			make('button.plain', {type: 'button', onclick: () => { end(); this.foot.querySelector('[data-does=edit]')?.focus(); }}, words.cancel),
			make('button.full', {}, m.role === 'user' ? words.sendAgain : words.saveAsVersion)));
		form.addEventListener('keydown', e => {
			if (e.key === 'Escape') {
				e.stopPropagation();
				end();
				this.foot.querySelector('[data-does=edit]')?.focus();
			} else if (m.role === 'user' && sends(e)) {
				e.preventDefault();
				save();
			}
		});
		this.body.hidden = this.foot.hidden = true;
		this.body.after(form);
		const fit = () => grown(text);
		text.addEventListener('input', fit);
		fit();
		text.focus();
	}
}

// grown makes a box as high as its text.
function grown(box) {
	box.style.height = 'auto';
	box.style.height = box.scrollHeight + 'px';
}

// sends reports whether a key sends what was written: Enter, where there are keys for a new line; with Control anywhere.
function sends(e) {
	if (e.key !== 'Enter' || e.isComposing || e.shiftKey || e.altKey) return false;
	return e.ctrlKey || e.metaKey || !matchMedia('(pointer: coarse)').matches;
}
