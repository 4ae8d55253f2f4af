'use strict';

const $ = id => document.getElementById(id);

// make returns an element: its name and classes ('button.icon'), its properties and attributes, and what is in it. Texts are texts: nothing
// here reads HTML.
function make(kind, properties = {}, ...inside) {
	const [name, ...classes] = kind.split('.');
	const e = document.createElement(name);
	e.classList.add(...classes);
	for (const [key, value] of Object.entries(properties)) {
		if (key.includes('-') || key === 'role') e.setAttribute(key, value);
		else e[key] = value;
	}
	e.append(...inside.filter(x => x != null));
	return e;
}

function icon(name) {
	const ns = 'http://www.w3.org/2000/svg';
	const svg = document.createElementNS(ns, 'svg');
	svg.setAttribute('aria-hidden', 'true');
	const use = document.createElementNS(ns, 'use');
	use.setAttribute('href', '#i-' + name);
	svg.append(use);
	return svg;
}

// iconButton has a picture alone; label is what it does, for those who do not see it and those who wonder.
const iconButton = (name, label, onclick) =>
	make('button.icon', {type: 'button', title: label, 'aria-label': label, onclick}, icon(name));

// labelled writes words and pictures into what page.html left empty.
function labelled() {
	for (const e of document.querySelectorAll('[data-icon]')) e.prepend(icon(e.dataset.icon));
	for (const e of document.querySelectorAll('[data-word]')) e.append(make('span', {}, words[e.dataset.word]));
	for (const e of document.querySelectorAll('[data-hint]')) e.placeholder = words[e.dataset.hint];
	for (const e of document.querySelectorAll('[data-title]')) e.title = words[e.dataset.title];
	for (const e of document.querySelectorAll('[data-label]')) {
		e.setAttribute('aria-label', words[e.dataset.label]);
		if (e.matches('button')) e.title = words[e.dataset.label];
	}
	for (const e of document.querySelectorAll('[data-keys]')) e.setAttribute('aria-keyshortcuts', e.dataset.keys);
	document.documentElement.lang = words.language;
}

// placed makes box hold these elements in this order, and touches none that is where it belongs: focus and scrolling stay.
function placed(box, elements) {
	const stay = new Set(elements);
	for (const e of [...box.children]) if (!stay.has(e)) e.remove();
	elements.forEach((e, i) => { if (box.children[i] !== e) box.insertBefore(e, box.children[i] ?? null); });
}

// copy puts text on the clipboard, also where a page without TLS has none of its own.
async function copy(text) {
	if (navigator.clipboard) return navigator.clipboard.writeText(text);
	const box = make('textarea', {value: text, readOnly: true});
	const before = document.activeElement;
	document.body.append(box);
	box.select();
	document.execCommand('copy');
	box.remove();
	before?.focus();
}

// copyButton copies what text() returns, and shows that it has.
function copyButton(label, text) {
	const b = iconButton('copy', label, async () => {
		await copy(text());
		b.replaceChildren(icon('check'));
		b.setAttribute('aria-label', words.copied);
		setTimeout(() => { b.replaceChildren(icon('copy')); b.setAttribute('aria-label', label); }, 1500);
	});
	return b;
}

// note shows a line above the conversation: kind is fault or news. It stays until it is dismissed, or for seconds.
function note(kind, text, {action, act, seconds, gone} = {}) {
	const end = () => { if (line.isConnected) { line.remove(); clearTimeout(timer); gone?.(); } };
	const line = make('div.note.' + kind, {role: kind === 'fault' ? 'alert' : 'status'}, make('span', {}, text),
		action && make('button.plain', {type: 'button', onclick: () => { gone = null; end(); act(); }}, action),
		iconButton('close', words.dismiss, () => end()));
	const timer = seconds ? setTimeout(end, seconds * 1000) : 0;
	$('notes').append(line);
	return end;
}
