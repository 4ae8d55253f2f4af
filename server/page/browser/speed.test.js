// How long things take: always in processor time of the page's thread, which other programs do not change, and by the clock where somebody
// says that the machine has nothing else to do: CLOCK=1 node --test speed.test.js
import assert from 'node:assert/strict';
import {test} from 'node:test';
import {Fake} from './fake.js';
import {is, processor, visit} from './visit.js';

const clock = process.env.CLOCK;

const median = all => all.toSorted((a, b) => a - b)[all.length >> 1];

test('while an answer of 10,000 tokens comes, there are 30 frames a second and keys show within 100 ms', async t => {
	const paragraph = 'Some **words** of prose, with `code` and a [link](https://example.org/), that go on for a line or two.\n\n';
	const block = '```go\nfunc main() {\n\tfmt.Println("hello")\n}\n```\n\n- one\n- two\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n';
	const tokens = (paragraph.repeat(4) + block).repeat(80).match(/\s*[^\s]{1,5}|\s+/g).slice(0, 10_000);
	let sent = 0;
	const v = await visit(t, new Fake(async r => {
		const began = performance.now();
		for (let i = 0; i < tokens.length; i += 50) { // 2,500 a second, where nothing holds this up
			for (const token of tokens.slice(i, i + 50)) r.delta({content: token});
			await new Promise(resolve => setTimeout(resolve, 20));
		}
		sent = (performance.now() - began) / 1000;
		r.end('stop', {prompt_tokens: 10, completion_tokens: 10_000});
	}));
	await v.page.evaluate(() => {
		globalThis.frames = [];
		globalThis.keys = [];
		let before = performance.now();
		const frame = now => { globalThis.frames.push(now - before); before = now; requestAnimationFrame(frame); };
		requestAnimationFrame(frame);
		addEventListener('keydown', e => requestAnimationFrame(() => { // until what it changed is drawn
			const {port1, port2} = new MessageChannel();
			port1.onmessage = () => globalThis.keys.push(performance.now() - e.timeStamp);
			port2.postMessage(0);
		}));
	});
	const seconds = await processor(v);
	const before = await seconds();
	await v.say('At length');
	await v.see('.said', 'words');
	while (await v.page.locator('#stop').isVisible()) {
		await v.page.keyboard.type('a');
		await v.page.waitForTimeout(40);
	}
	await v.ended();
	const used = await seconds() - before;
	const {frames, keys, blocks} = await v.page.evaluate(() => ({frames, keys, blocks: document.querySelectorAll('.said > *').length}));
	const end = await seconds();
	await v.page.evaluate(() => { // what a frame does for a token, when all the others are there
		const [turn] = [...page.turns.values()].slice(-1);
		for (let i = 0; i < 30; i++) {
			turn.m.content += ' word';
			turn.prose.show(turn.m.content, false);
			page.follow();
			document.getElementById('turns').offsetHeight;
		}
	});
	const each = (await seconds() - end) / 30 * 1000;
	t.diagnostic(`${keys.length} keys, median ${median(keys).toFixed(1)} ms; ${frames.length} frames, median ${median(frames).toFixed(1)} ms; ` +
		`${used.toFixed(2)} s of processor in ${sent.toFixed(1)} s, the last frames ${each.toFixed(1)} ms each`);
	assert.ok(blocks > 300, `${blocks} blocks`);
	assert.ok(used < 3 * Math.max(1, sent / 4), `${used} s of processor for the ${sent} s in which the tokens come, 4 s at least`);
	assert.ok(each < 1000 / 30, `${each} ms of processor for a frame`);
	if (!clock) return t.diagnostic('CLOCK is not set: the clock is not judged');
	assert.ok(keys.length > 10, `${keys.length} keys`);
	assert.ok(median(keys) < 100, `a key takes ${median(keys)} ms`);
	assert.ok(median(frames) < 1000 / 30, `a frame takes ${median(frames)} ms`);
});

test('a list of 200 conversations shows within 300 ms', async t => {
	const v = await visit(t);
	await v.page.evaluate(async () => {
		for (let i = 0; i < 200; i++) {
			const c = tree.conversation();
			c.title = `Conversation ${i}`;
			let parent = '';
			const messages = [];
			for (let j = 0; j < 10; j++) {
				const m = tree.add(c, parent, j % 2 ? 'assistant' : 'user', {content: 'Some words of text. '.repeat(50)});
				messages.push(m);
				parent = m.id;
			}
			await store.keep(c, messages);
		}
	});
	const seconds = await processor(v);
	const times = [], used = [];
	for (let i = 0; i < 3; i++) {
		const before = await seconds();
		await v.page.reload();
		times.push(await v.page.evaluate(async () => {
			while (document.querySelectorAll('#list li').length < 200) await new Promise(requestAnimationFrame);
			return performance.now() - performance.getEntriesByType('navigation')[0].responseEnd;
		}));
		const now = await seconds();
		used.push(now > before ? now - before : now); // of a new process
	}
	const took = await v.page.evaluate(async () => {
		document.getElementById('find').value = 'words of';
		const began = performance.now();
		await list.search('words of');
		return performance.now() - began;
	});
	t.diagnostic(`shown after ${median(times).toFixed(0)} ms, ${(1000 * median(used)).toFixed(0)} ms of processor; searched in ${took.toFixed(0)} ms`);
	assert.ok(median(used) < 0.6, `${used} s of processor, with all that a reload does`);
	assert.ok(!clock || Math.min(...times) < 300, `${times} ms`);
	await is(() => v.page.locator('#list .found').count(), 200);
});
