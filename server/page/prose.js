'use strict';

// What a model writes is Markdown. Its HTML is shown as text, but for a few marks without attributes; what the parser makes of the rest goes
// through DOMPurify with the list of elements and attributes below. Pictures show if they are in the text itself: those of other hosts are
// links, as fetching them would tell these hosts what was said.
const prose = (() => {
	const picture = /^data:image\/(?:avif|gif|jpeg|png|webp);base64,[\w+/]+=*$/;
	const escaped = text => text.replace(/[&<>"']/g, c => `&#${c.charCodeAt(0)};`);
	marked.use({
		gfm: true,
		breaks: true,
		renderer: {
			html: ({text}) => /^<(?:br ?\/?|\/?(?:sub|sup|kbd|u|mark))>$/i.test(text.trim()) ? text : escaped(text),
			image({href, text}) {
				if (picture.test(href)) return `<img src="${escaped(href)}" alt="${escaped(text)}">`;
				return `<a href="${escaped(href)}">${escaped(text || href)}</a>`;
			},
			heading({tokens, depth}) { // the page has headings of its own above them
				const level = Math.min(depth + 2, 6);
				return `<h${level}>${this.parser.parseInline(tokens)}</h${level}>`;
			},
			code: ({text, lang}) => `<pre data-language="${escaped((lang ?? '').match(/^\S{0,30}/)[0])}"><code>${escaped(text)}</code></pre>`,
			checkbox: ({checked}) => checked ? '☑ ' : '☐ ',
		},
	});
	const clean = {
		ALLOWED_TAGS: ['a', 'blockquote', 'br', 'code', 'del', 'em', 'h3', 'h4', 'h5', 'h6', 'hr', 'img', 'kbd', 'li', 'mark', 'ol', 'p', 'pre',
			'strong', 'sub', 'sup', 'table', 'tbody', 'td', 'th', 'thead', 'tr', 'u', 'ul', '#text'],
		ALLOWED_ATTR: ['align', 'alt', 'data-language', 'href', 'src', 'start', 'title'],
		ADD_URI_SAFE_ATTR: ['align', 'data-language', 'start'],
		ALLOW_ARIA_ATTR: false,
		ALLOW_DATA_ATTR: false,
		ALLOWED_URI_REGEXP: /^(?:https?:\/\/|mailto:)/i,
		RETURN_DOM_FRAGMENT: true,
	};
	DOMPurify.addHook('uponSanitizeAttribute', (_, at) => {
		if (at.attrName === 'src' && !picture.test(at.attrValue)) at.keepAttr = false;
	});

	// codeBox returns a box around code: its language, and a button that copies it.
	const codeBox = (pre, language) => {
		pre.tabIndex = 0; // it may have to be scrolled by keys
		pre.setAttribute('role', 'region');
		pre.setAttribute('aria-label', words.code);
		return make('div.code', {}, make('div.bar', {}, make('span', {}, language || ''),
			copyButton(words.copyCode, () => pre.textContent)), pre);
	};

	// fragment returns the elements of some tokens of Markdown.
	const fragment = tokens => {
		const f = DOMPurify.sanitize(marked.parser(tokens), clean);
		for (const a of f.querySelectorAll('a[href]')) {
			a.target = '_blank';
			a.rel = 'noopener noreferrer nofollow';
			a.title = a.href;
		}
		for (const pre of f.querySelectorAll('pre')) {
			const language = pre.dataset.language;
			pre.removeAttribute('data-language');
			pre.replaceWith(codeBox(pre.cloneNode(true), language));
		}
		for (const table of f.querySelectorAll('table')) {
			const box = make('div.table', {tabIndex: 0, role: 'region', 'aria-label': words.table});
			table.replaceWith(box);
			box.append(table);
		}
		return f;
	};

	return {codeBox, fragment};
})();

// Prose shows a text that grows in a box: what can no longer change stays as it is, and the last block is made anew.
class Prose {
	constructor(box) {
		this.box = box;
		this.clear();
	}

	clear() {
		this.box.replaceChildren();
		this.text = ''; // what is shown
		this.done = 0; // its length up to the last block
		this.last = []; // the elements of the last block
		this.whole = false;
	}

	// show shows text; whole says that no more will come.
	show(text, whole) {
		text = text.replace(/\r\n?/g, '\n');
		if (text === this.text && (this.whole || !whole)) return;
		// Links may be explained below where they are used: then all of it is made anew at the end.
		if (!text.startsWith(this.text) || whole && this.done && /^ {0,3}\[[^\]]+\]:/m.test(text)) this.clear();
		this.text = text;
		this.whole = whole;
		let tokens;
		try {
			tokens = marked.lexer(text.slice(this.done));
			let n = whole ? 0 : tokens.length - 1;
			while (n > 0 && tokens[n].type === 'space') n--;
			const links = tokens.links;
			const settled = tokens.slice(0, n);
			const length = settled.reduce((sum, t) => sum + t.raw.length, 0);
			// The beginning of a line may yet turn out to belong to the list above it.
			const sure = n > 0 && /\n|.{12}/.test(tokens[n].raw);
			if (sure && text.slice(this.done, this.done + length) === settled.map(t => t.raw).join('')) {
				this.replaceLast(settled, links);
				this.last = [];
				this.done += length;
				tokens = Object.assign(tokens.slice(n), {links});
			}
			if (!this.grew(tokens)) this.replaceLast(tokens, links);
		} catch { // nested beyond the parser's depth
			this.clear();
			this.text = text;
			this.whole = whole;
			this.box.append(make('p.plain', {}, text));
		}
	}

	replaceLast(tokens, links) {
		const f = prose.fragment(Object.assign([...tokens], {links}));
		const elements = [...f.childNodes];
		for (const e of this.last) e.remove();
		this.box.append(f);
		this.last = elements;
	}

	// grew reports whether the last block is code that only became longer: then its text grows, and a selection in it stays.
	grew(tokens) {
		const shown = this.last.length === 1 && this.last[0].querySelector?.(':scope > pre > code')?.firstChild;
		if (!shown || tokens.length !== 1 || tokens[0].type !== 'code' || !tokens[0].text.startsWith(shown.data)) return false;
		shown.appendData(tokens[0].text.slice(shown.data.length));
		return true;
	}
}
