// What one does in a conversation.
import assert from 'node:assert/strict';
import {test} from 'node:test';
import {Fake} from './fake.js';
import {gate, is, visit} from './visit.js';

test('an answer streams, and the request asks for what the page shows', async t => {
	const {open, opened} = gate();
	const v = await visit(t, new Fake(async r => {
		r.raw(': ping\n\n').text('The capital of France');
		await opened;
		r.text(' is **Paris**.').end();
	}));
	await v.see('#about', 'fake-4b');
	await v.say('What is the capital of France?');
	await v.see('.turn.assistant .said', 'The capital of France');
	await is(() => v.answers.getAttribute('aria-busy'), 'true');
	open();
	await v.ended();
	await is(() => v.answers.locator('strong').textContent(), 'Paris');
	await is(() => v.answers.locator('.stats').textContent(), '10 tokens · 12.3 tokens/s');
	await is(() => v.page.locator('h1').textContent(), 'What is the capital of France?');
	assert.deepEqual(v.fake.bodies, [{
		model: 'fake-4b', messages: [{role: 'user', content: 'What is the capital of France?'}], stream: true,
		stream_options: {include_usage: true}, return_progress: true, timings_per_token: true,
		chat_template_kwargs: {enable_thinking: false},
	}]);
});

test('news is drawn once in a frame, whatever number of chunks come', async t => {
	const {open, opened} = gate();
	const v = await visit(t, new Fake(async r => {
		r.text('Begin');
		await opened;
		let all = '';
		for (let i = 0; i < 2000; i++) all += `data: {"choices":[{"index":0,"delta":{"content":" w${i}"}}]}\n\n`;
		r.raw(all).end();
	}));
	await v.say('Go');
	await v.see('.said', 'Begin');
	await v.page.evaluate(() => {
		const show = Prose.prototype.show;
		globalThis.shown = 0;
		Prose.prototype.show = function (...x) { globalThis.shown++; return show.apply(this, x); };
		globalThis.frames = 0;
		const count = () => { globalThis.frames++; requestAnimationFrame(count); };
		count();
	});
	open();
	await v.ended();
	await is(async () => (await v.answers.locator('.said').textContent()).trim(), 'Begin ' + Array.from({length: 2000}, (_, i) => 'w' + i).join(' '));
	const {shown, frames} = await v.page.evaluate(() => ({shown: globalThis.shown, frames: globalThis.frames}));
	assert.ok(shown <= frames + 3 && shown < 500, `${shown} times in ${frames} frames`); // two when it ends
});

test('Escape stops an answer, the server hears of it, and Continue goes on from its text', async t => {
	let gone;
	const v = await visit(t, new Fake(r => { gone = r.gone; r.text('One, two,'); }, r => r.text(' three.').end()));
	await v.say('Count');
	await v.see('.said', 'One, two,');
	await v.page.keyboard.press('Escape');
	await gone;
	await v.see('.stats', 'Stopped');
	await v.button('Continue').click();
	await v.see('.said', 'One, two, three.');
	await v.ended();
	await is(() => v.answers.count(), 1);
	await is(() => v.button('Continue').count(), 0);
	const {messages, continue_final_message, add_generation_prompt} = v.fake.bodies[1];
	assert.deepEqual([messages.at(-1), continue_final_message, add_generation_prompt], [{role: 'assistant', content: 'One, two,'}, true, false]);
});

test('an answer that came to the limit of tokens can be continued', async t => {
	const v = await visit(t, new Fake(r => r.text('One').end('length'), r => r.text(' two').end()));
	await v.say('Count');
	await v.see('.stats', 'Reached the limit of tokens');
	await v.button('Continue').click();
	await v.see('.said', 'One two');
	await v.ended();
});

test('an answer that was cut off by a reload can be continued', async t => {
	const v = await visit(t, new Fake(r => r.text('One'), r => r.text(' two').end()));
	await v.say('Count');
	await v.see('.said', 'One');
	await v.until(async () => (await store.allMessages()).some(m => m.content === 'One'));
	await v.reload();
	await v.see('.said', 'One');
	await v.button('Continue').click();
	await v.see('.said', 'One two');
	await v.ended();
});

test('trying again and editing make versions, and each keeps what followed it', async t => {
	let n = 0;
	const v = await visit(t, new Fake(r => r.text(`Answer ${++n}.`).end()));
	await v.say('First question');
	await v.ended();
	await v.button('Try again').click();
	await v.see('.said', 'Answer 2.');
	await v.ended();
	await v.say('And then?');
	await v.see('.said', 'Answer 3.');
	await v.ended();
	await is(() => v.turn(1).locator('.versions').textContent(), '2/2');
	assert.deepEqual(v.fake.bodies[2].messages.map(m => m.content), ['First question', 'Answer 2.', 'And then?']);

	await v.button('Previous version').click();
	await is(() => v.turn(1).locator('.said p').textContent(), 'Answer 1.');
	await is(() => v.page.locator('.turn').count(), 2);
	await is(() => v.page.evaluate(() => document.activeElement.getAttribute('aria-label')), 'Next version', 'the focus stays there');
	await v.button('Next version').click();
	await is(() => v.turn(3).locator('.said p').textContent(), 'Answer 3.');

	await v.turn(0).hover();
	await v.button('Edit', v.turn(0)).click();
	await v.turn(0).locator('textarea').fill('Another question');
	await v.button('Send', v.turn(0)).click();
	await v.see('.said', 'Answer 4.');
	await v.ended();
	await is(() => v.page.locator('.turn').count(), 2);
	assert.deepEqual(v.fake.bodies[3].messages.map(m => m.content), ['Another question']);
	await v.reload();
	await v.see('.said', 'Answer 4.');
	await v.turn(0).hover();
	await v.button('Previous version', v.turn(0)).click();
	await v.see('.said', 'Answer 3.');
});

test('an answer can be edited, and goes on from there', async t => {
	const v = await visit(t, new Fake(r => r.text('It is Paris.').end(), r => r.text(' Rome.').end()));
	await v.say('Where?');
	await v.ended();
	await v.button('Edit', v.answers).click();
	await v.answers.locator('textarea').fill('It is');
	await v.button('Save as a version').click();
	await v.see('.stats', 'edited');
	await v.button('Continue').click();
	await v.see('.said', 'It is Rome.');
	await is(() => v.answers.locator('.versions').textContent(), '2/2');
	assert.equal(v.fake.bodies[1].messages.at(-1).content, 'It is');
});

test('thoughts are folded, with their seconds, and go back with the history', async t => {
	const {open, opened} = gate();
	const v = await visit(t, new Fake(async r => {
		r.thought('First, *weigh* ');
		await opened;
		r.thought('it.').text('Yes.').end();
	}));
	await v.button('Think').click();
	await is(() => v.button('Think').getAttribute('aria-pressed'), 'true');
	await v.say('Is it so?');
	await v.see('summary', /^Thinking … [1-9]\d* s$/);
	await is(() => v.answers.locator('.thought').getAttribute('open'), null);
	open();
	await v.see('summary', /^Thought for [1-9]\d* s$/);
	await v.ended();
	await v.answers.locator('summary').click();
	await v.see('.thought em', 'weigh');
	assert.equal(v.fake.bodies[0].chat_template_kwargs.enable_thinking, true);
	await v.button('Think').click();
	await v.say('And?');
	await v.ended();
	assert.equal(v.fake.bodies[1].chat_template_kwargs.enable_thinking, false);
	assert.deepEqual(v.fake.bodies[1].messages[1], {role: 'assistant', content: 'Yes.', reasoning_content: 'First, *weigh* it.'});
});

test('settings go with the request: the system message and the schema with one conversation, the rest with all', async t => {
	const v = await visit(t, new Fake(r => r.text('{"city":"Paris"}').end()));
	await v.button('Settings').click();
	const dialog = v.page.locator('#settingsDialog');
	await dialog.getByLabel('System message').fill('Be brief.');
	await dialog.getByLabel('JSON schema of answers').fill('{"type": "object"');
	for (const [label, value] of [['Temperature', '0.5'], ['Top-p', '0.9'], ['Top-k', '40'], ['Token limit', '100'], ['Seed', '7']]) {
		await dialog.getByLabel(label).fill(value);
	}
	await v.button('Save').click();
	await v.see('#schemaFault', 'This is no JSON schema');
	await dialog.getByLabel('JSON schema of answers').fill('{"type": "object"}');
	await v.button('Save').click();
	await v.say('Where?');
	await v.ended();
	const body = v.fake.bodies[0];
	assert.deepEqual(body.messages[0], {role: 'system', content: 'Be brief.'});
	assert.deepEqual(body.response_format, {type: 'json_schema', json_schema: {name: 'answer', strict: true, schema: {type: 'object'}}});
	const sampled = ({temperature, top_p, top_k, max_tokens, seed}) => ({temperature, top_p, top_k, max_tokens, seed});
	assert.deepEqual(sampled(body), {temperature: .5, top_p: .9, top_k: 40, max_tokens: 100, seed: 7});
	await is(() => v.answers.locator('.code code').textContent(), '{"city":"Paris"}', 'JSON is shown as it is');
	await v.reload();
	await v.button('JSON').click();
	await is(() => dialog.getByLabel('System message').inputValue(), 'Be brief.');
	await is(() => dialog.getByLabel('Seed').inputValue(), '7');
	await dialog.getByLabel('Seed').fill('');
	await v.button('Save').click();
	await v.button('New chat').click();
	await v.say('Where?');
	await v.ended();
	assert.deepEqual(v.fake.bodies[1].messages.length, 1);
	assert.equal(v.fake.bodies[1].response_format, undefined);
	assert.deepEqual(sampled(v.fake.bodies[1]), {temperature: .5, top_p: .9, top_k: 40, max_tokens: 100, seed: undefined});
});

test('the prompt has a bar, and the time that is left', async t => {
	const {open, opened} = gate();
	const v = await visit(t, new Fake(async r => {
		r.progress(1500, 5000, 500, 10000);
		await opened;
		r.text('Read.').end();
	}));
	await v.say('A long one');
	await v.see('.state', 'Reading 1,500 of 5,000 tokens · 35 s left');
	await is(() => v.page.locator('progress').evaluate(p => [p.value, p.max]), [1500, 5000]);
	open();
	await v.see('.said', 'Read.');
	await v.ended();
	await is(() => v.page.locator('progress').count(), 0);
});

test('the context in use is a bar', async t => {
	const v = await visit(t, new Fake(r => r.text('Yes.').end('stop', {prompt_tokens: 700, completion_tokens: 250})));
	await v.see('#about', 'fake-4b');
	await is(() => v.page.locator('#meter').isVisible(), false);
	await v.say('Is it full?');
	await v.ended();
	await v.see('#used', '950 of 1,000 tokens');
	const bar = v.page.getByRole('meter', {name: 'Context in use'});
	await is(async () => [await bar.getAttribute('aria-valuenow'), await bar.getAttribute('aria-valuemax')], ['950', '1000']);
	await is(() => bar.locator('span').evaluate(e => e.style.width), '95%');
});

test('messages and code are copied', async t => {
	const v = await visit(t, new Fake(r => r.text('Do:\n\n```go\nx := 1\n```\n').end()), {permissions: ['clipboard-read', 'clipboard-write']});
	const copied = () => v.page.evaluate(() => navigator.clipboard.readText());
	await v.say('Code');
	await v.ended();
	await is(() => v.page.locator('.code .bar').textContent(), 'go');
	await v.button('Copy code').click();
	await v.button('Copied').waitFor();
	await is(() => copied(), 'x := 1');
	await v.answers.locator('.foot').getByRole('button', {name: 'Copy', exact: true}).click();
	await is(() => copied(), 'Do:\n\n```go\nx := 1\n```\n');
	await v.page.evaluate(() => { // as on a page without TLS
		Object.defineProperty(navigator, 'clipboard', {value: undefined});
		document.execCommand = () => { globalThis.selected = String(document.activeElement.value); };
	});
	await v.turn(0).hover();
	await v.button('Copy', v.turn(0)).click();
	await is(() => v.page.evaluate(() => globalThis.selected), 'Code');
});

test('Markdown becomes what it means, also in pieces', async t => {
	const text = '# One\n\ntext *em* `code`\nnext\n\n- a\n- b\n  - c\n\n1. x\n\n2. y\n\n| a | b |\n|---|--:|\n| 1 | 2 |\n\n> quote\n\n- [x] done\n- [ ] not\n\n' +
		'~~gone~~ H<sub>2</sub>O\n\n---\n\nsee [it][l]\n\n```js\nlet a = 1 < 2 && "x";\n\n\nb();\n```\n\n[l]: https://example.org/\n\nend';
	const v = await visit(t, new Fake(r => {
		for (const c of text) r.delta({content: c});
		r.end();
	}, r => r.delta({content: text}).end()));
	await v.say('Markdown');
	await v.ended();
	await v.button('Try again').click();
	await v.see('.versions', '2/2');
	await v.ended();
	const html = () => v.answers.locator('.said').evaluate(e => e.innerHTML.replace(/>\n+</g, '><'));
	const whole = await html();
	await v.button('Previous version').click();
	await is(() => html(), whole);
	for (const part of ['<h3>One</h3>', '<em>em</em> <code>code</code><br>next', '<li>b<ul><li>c</li></ul></li>', '<th align="right">b</th>',
		'<blockquote>', '☑ done', '☐ not', '<del>gone</del> H<sub>2</sub>O', '<hr>', 'let a = 1 &lt; 2 &amp;&amp; "x";\n\n\nb();',
		'href="https://example.org/"', 'rel="noopener noreferrer nofollow"', '<p>end</p>']) {
		assert.ok(whole.includes(part), `${part} is not in ${whole}`);
	}
});

test('tools are called in the page, and their results go back', async t => {
	const v = await visit(t, new Fake(
		r => r.thought('Hm.').text('Let me see.').call(0, 'calculator', '{"expression": "(2 + 3) * 4 ^ 2"}').call(1, 'clock', '{"zone": "UTC"}')
			.call(2, 'rocket', '{}').call(3, 'calculator', '{"expression": "2 +"}').call(4, 'calculator', 'no JSON').end('tool_calls'),
		r => r.text('It is 80.').end()));
	await v.button('Tools').click();
	await v.say('What is it?');
	await v.see('.said', 'It is 80.');
	await v.ended();
	assert.deepEqual(v.fake.bodies[0].tools.map(t => [t.type, t.function.name]), [['function', 'clock'], ['function', 'calculator']]);
	const [user, calls, ...results] = v.fake.bodies[1].messages;
	assert.equal(user.role, 'user');
	assert.deepEqual(calls.tool_calls[0], {id: 'call_0', type: 'function', function: {name: 'calculator', arguments: '{"expression": "(2 + 3) * 4 ^ 2"}'}});
	assert.deepEqual(results.map(r => [r.role, r.tool_call_id, r.name]), [0, 1, 2, 3, 4].map(i =>
		['tool', `call_${i}`, ['calculator', 'clock', 'rocket', 'calculator', 'calculator'][i]]));
	assert.deepEqual([0, 2, 3, 4].map(i => results[i].content), ['80', 'error: there is no tool rocket',
		'error: the expression ends too early', 'error: the arguments are not a JSON object']);
	assert.match(results[1].content, /^\w+,? \d+ \w+ \d{4}.*UTC/);
	const call = v.page.locator('details.call').first();
	await is(() => call.getAttribute('open'), null);
	await call.locator('summary').click();
	await is(() => call.locator('pre').allTextContents(), ['{"expression": "(2 + 3) * 4 ^ 2"}', '80']);
	await is(() => call.locator('summary').textContent(), 'Called calculator');
	await v.reload();
	await v.see('.said', 'It is 80.');
	await is(() => v.page.locator('details.call').count(), 5);
});

test('calls without an end are stopped', async t => {
	const v = await visit(t, new Fake(r => r.call(0, 'clock', '{}').end('tool_calls')));
	await v.button('Tools').click();
	await v.say('When?');
	await v.see('.fault', 'Stopped after 8 rounds of calls.');
	assert.equal(v.fake.bodies.length, 8);
});

test('a call that was cut off is not made', async t => {
	const v = await visit(t, new Fake(r => r.text('So:').call(0, 'clock', '{"zo').end('length')));
	await v.button('Tools').click();
	await v.say('When?');
	await v.see('.stats', 'Reached the limit of tokens');
	assert.equal(v.fake.bodies.length, 1);
	await is(() => v.page.locator('details.call').count(), 0);
});

test('the calculator computes', async t => {
	const v = await visit(t);
	const results = await v.page.evaluate(all => all.map(x => { try { return calculate(x); } catch (e) { return e.message; } }),
		['1+2*3', '-2^2', '2^3^2', '(1 + 2) × 3 − 4 ÷ 2', '0.1 + 0.2', '1e3 / 4', '.5 * 4', '7 % 4', 'sqrt(16) + abs(-2)', 'cos(2*pi)', 'log(1000)',
			'ln(e)', '1 / 0', '', '2 3', '(1', 'alert(1)', 'constructor', '1 + x', '('.repeat(999)]);
	assert.deepEqual(results, [7, -4, 512, 7, 0.3, 250, 2, 3, 6, 1, 3, 1, Infinity, 'the expression ends too early', '3 is not expected here',
		'expected ) at the end', 'alert is neither a number nor a function', 'constructor is neither a number nor a function',
		'x is neither a number nor a function', 'the expression ends too early']);
});

test('several conversations are answered at the same time, and each is stopped alone', async t => {
	const replies = [];
	const v = await visit(t, new Fake(r => { replies.push(r); r.text(`Beginning ${replies.length}`); }));
	for (const n of [1, 2, 3]) {
		await v.say(`Question ${n}`);
		await v.see('.said', `Beginning ${n}`);
		if (n < 3) await v.button('New chat').click();
	}
	await is(() => v.page.locator('#list .dot').count(), 3);
	replies[0].text(', middle').end();
	await v.page.locator('#list .dot').nth(2).waitFor({state: 'detached'});
	await v.button('Stop: Question 2', v.page.locator('#list')).click();
	await replies[1].gone;
	await v.page.locator('#list .dot').nth(1).waitFor({state: 'detached'});
	replies[2].text(', end').end();
	await v.see('.said', 'Beginning 3, end');
	await v.page.getByRole('link', {name: 'Question 1'}).click();
	await v.see('.said', 'Beginning 1, middle');
	await v.page.getByRole('link', {name: 'Question 2'}).click();
	await v.see('.said', 'Beginning 2');
	await v.see('.stats', 'Stopped');
	await v.page.goBack();
	await v.see('.said', 'Beginning 1, middle');
});

test('text files are dropped into the message, with their number of tokens', async t => {
	const v = await visit(t);
	const drop = (name, ...parts) => v.page.evaluate(([name, parts]) => {
		const files = new DataTransfer();
		files.items.add(new File(parts.map(p => typeof p === 'number' ? new Uint8Array(p) : p), name)); // a number is one of zeros
		for (const kind of ['dragover', 'drop']) document.body.dispatchEvent(new DragEvent(kind, {dataTransfer: files, bubbles: true, cancelable: true}));
	}, [name, parts]);
	await drop('notes.md', 'one two\n```\nthree\n```\n');
	await v.see('.note', 'notes.md: 5 tokens.');
	await is(() => v.box.inputValue(), 'notes.md:\n````\none two\n```\nthree\n```\n````\n');
	await drop('picture.png', 'PNG', 8);
	await v.see('.note', 'picture.png is not a text in UTF-8.');
	await drop('large.txt', (1 << 20) + 1);
	await v.see('.note', 'large.txt is larger than 1 MB.');
});
