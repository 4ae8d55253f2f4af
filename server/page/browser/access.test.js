// Who reaches what: by keys, by touch, by ear, in the dark and on small screens.
import assert from 'node:assert/strict';
import {test} from 'node:test';
import axe from 'axe-core';
import {Fake} from './fake.js';
import {gate, is, visit} from './visit.js';

const answer = '# Title\n\nSee [it](https://example.org/) and `code`.\n\n```go\nx := 1\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n> quote\n\n- item\n';

// faultless asks axe about the page as it is now.
async function faultless(v, where) {
	await v.page.evaluate(axe.source);
	const {violations, passes} = await v.page.evaluate(() => {
		document.getAnimations().forEach(a => a.finish?.call && a.effect.getTiming().iterations !== Infinity && a.finish());
		return axe.run();
	});
	assert.ok(passes.length > 10);
	const serious = violations.filter(f => ['serious', 'critical'].includes(f.impact));
	assert.deepEqual(serious.map(f => `${where}: ${f.id}: ${f.nodes.map(n => n.html).join(' ')}`), []);
}

for (const [name, options] of [
	['in light', {colorScheme: 'light'}], ['in the dark', {colorScheme: 'dark'}],
	['on 320 px', {viewport: {width: 320, height: 640}, colorScheme: 'dark', hasTouch: true}],
]) {
	test(`axe finds nothing serious ${name}`, async t => {
		const v = await visit(t, new Fake(
			r => r.thought('Hm.').text(answer).call(0, 'clock', '{}').end('tool_calls'), r => r.text(answer).end(), r => r.refuse(400, 'No.'),
			r => r.progress(10, 100)), {...options, faults: [/400/]});
		await v.see('#about', 'fake-4b');
		await faultless(v, 'at the beginning');
		await v.page.evaluate(() => { page.open.tools = page.open.think = true; page.open.schema = ''; page.showSwitches(); });
		await v.box.fill('Say something');
		await v.button('Send').click();
		await v.see('.turn:last-child .stats', 'tokens/s');
		await v.ended();
		for (const summary of await v.page.locator('summary:visible').all()) await summary.click();
		await v.button('Try again').last().click();
		await v.see('.fault', 'No.');
		await v.ended();
		await v.button('Edit').first().click();
		await faultless(v, 'in a conversation');
		await v.button('Cancel').click();
		await v.button('Try again', v.page.locator('.fault')).click();
		await v.see('.state', 'Reading');
		await faultless(v, 'while reading');
		await v.button('Settings').click();
		await faultless(v, 'in the settings');
		await v.page.keyboard.press('Escape');
		await v.page.keyboard.press('Escape');
		if (options.hasTouch) await v.button('Show conversations').click();
		await v.button('Keyboard').click();
		await faultless(v, 'in the list of keys');
		await v.page.keyboard.press('Escape');
		await faultless(v, 'beside the conversations');
	});
}

test('on 320 px nothing is cut off, and conversations come over the page', async t => {
	const v = await visit(t, new Fake(r => r.text(`${'Donaudampfschifffahrtsgesellschaft'.repeat(3)}\n\n\`\`\`\n${'x'.repeat(200)}\n\`\`\`\n`).end()),
		{viewport: {width: 320, height: 640}, hasTouch: true});
	await v.box.fill('x'.repeat(300));
	await v.button('Send').click();
	await v.see('.code', 'xxx');
	await v.ended();
	await is(() => v.page.evaluate(() => document.scrollingElement.scrollWidth <= 320 && document.querySelector('#talk').scrollWidth <= 320), true);
	const {x, width} = await v.button('Send').boundingBox();
	assert.ok(x >= 0 && x + width <= 320);
	await is(() => v.page.locator('#side').isVisible(), false);
	await v.button('Show conversations').click();
	await v.page.getByRole('link', {name: /^xxx/}).waitFor();
	await is(() => v.page.evaluate(() => document.querySelector('#room').inert), true, 'what is covered cannot be reached');
	const focus = () => v.page.evaluate(() => document.activeElement.id);
	await is(() => focus(), 'hide');
	await v.page.keyboard.press('Escape');
	await v.page.locator('#side').waitFor({state: 'hidden'});
	await is(() => v.page.evaluate(() => document.querySelector('#room').inert), false);
	await is(() => focus(), 'show');
	await v.page.keyboard.press('Control+k');
	await is(() => focus(), 'find');
	await v.page.locator('#scrim').click({position: {x: 310, y: 300}});
	await v.page.locator('#side').waitFor({state: 'hidden'});
});

test('Enter sends; with Shift, and on a touch screen, it is a new line', async t => {
	const v = await visit(t);
	await v.box.fill('One');
	await v.box.press('Shift+Enter');
	await v.page.keyboard.type('two');
	await is(() => v.box.inputValue(), 'One\ntwo');
	await v.box.dispatchEvent('keydown', {key: 'Enter', isComposing: true});
	assert.equal(v.fake.bodies.length, 0, 'Enter ends what an input method composes');
	await v.box.press('Enter');
	await v.ended();
	assert.equal(v.fake.bodies[0].messages[0].content, 'One\ntwo');

	const w = await visit(t, new Fake(), {hasTouch: true, isMobile: true, viewport: {width: 390, height: 800}});
	await w.box.fill('One');
	await w.box.press('Enter');
	await w.page.keyboard.type('two');
	await is(() => w.box.inputValue(), 'One\ntwo');
	await w.box.press('Control+Enter');
	await w.see('.said', 'Paris.');
	await w.ended();
	assert.equal(w.fake.bodies[0].messages[0].content, 'One\ntwo');
});

test('all is done by keys', async t => {
	const v = await visit(t);
	const focus = () => v.page.evaluate(() => document.activeElement.id);
	await is(() => focus(), 'box', 'one writes at once');
	await v.page.keyboard.type('First');
	await v.page.keyboard.press('Enter');
	await v.see('.said', 'Paris.');
	await v.ended();
	await v.page.keyboard.press('ArrowUp');
	await v.page.keyboard.type(', really');
	await v.page.keyboard.press('Enter');
	await v.see('.user .said', 'First, really');
	await v.ended();
	await is(() => focus(), 'box');
	await v.page.keyboard.press('Control+Shift+O');
	await is(() => v.page.locator('.turn').count(), 0);
	await v.page.keyboard.press('Control+k');
	await is(() => focus(), 'find');
	await v.page.keyboard.press('Control+b');
	await is(() => v.page.locator('#side').isVisible(), false);
	await is(() => focus(), 'show');
	await v.page.keyboard.press('?');
	await v.page.getByRole('dialog', {name: 'Keyboard'}).waitFor();
	await v.page.keyboard.press('Escape');
	await v.page.keyboard.press('Control+k');
	await is(() => focus(), 'find');

	await v.reload();
	await v.page.evaluate(() => document.activeElement.blur());
	const tab = async () => {
		await v.page.keyboard.press('Tab');
		return v.page.evaluate(({activeElement: e} = document) => e === document.body ? '' : e.id || e.getAttribute('aria-label') || e.textContent);
	};
	for (let i = 0; i < 20 && await tab() !== 'skip'; i++);
	const order = [];
	for (let i = 0; i < 14; i++) order.push(await tab());
	assert.deepEqual(order, ['hide', 'new', 'find', 'First', 'Rename: First', 'Delete: First', 'import', 'export', 'keys', 'settings', 'box', 'attach',
		'think', 'tools']);
	await v.button('To the message').focus();
	await v.page.keyboard.press('Enter');
	await is(() => focus(), 'box');
});

test('an answer is spoken by sentences, and once', async t => {
	const {open, opened} = gate();
	const v = await visit(t, new Fake(async r => {
		r.text('The first **sentence** is 3.5 words. The second');
		await opened;
		r.text(' is cut in two.\nA third').end();
	}));
	await v.say('Speak');
	await v.see('#spoken p', 'The first sentence is 3.5 words.');
	await is(() => v.page.locator('#spoken').getAttribute('aria-live'), 'polite');
	await is(() => v.page.locator('#spoken p').count(), 1);
	open();
	await v.ended();
	await v.see('#spoken p', 'A third');
	await is(async () => (await v.page.locator('#spoken p').allTextContents()).join(' ').replace(/\s+/g, ' '), 'The first sentence is 3.5 words. The second is cut in two. A third');
	await v.reload();
	await v.see('.said', 'A third');
	await is(() => v.page.locator('#spoken p').count(), 0, 'what is old is not spoken');
});

test('the dark comes with the system, or by a switch that stays', async t => {
	const v = await visit(t, new Fake(), {colorScheme: 'dark'});
	const dark = () => v.page.evaluate(() => getComputedStyle(document.body).backgroundColor === 'rgb(25, 24, 22)');
	await is(() => dark(), true);
	await v.page.emulateMedia({colorScheme: 'light'});
	await is(() => dark(), false);
	await v.button('Settings').click();
	await v.page.getByText('Dark', {exact: true}).click();
	await is(() => dark(), true, 'it shows at once');
	await v.button('Cancel', v.page.locator('#settingsDialog')).click();
	await v.page.waitForFunction(() => getComputedStyle(document.body).backgroundColor !== 'rgb(25, 24, 22)');
	await v.button('Settings').click();
	await v.page.getByText('Dark', {exact: true}).click();
	await v.button('Save').click();
	await v.reload();
	await is(() => dark(), true);
	await v.button('Settings').click();
	await is(() => v.page.getByRole('radio', {name: 'Dark'}).isChecked(), true);
});

test('nothing moves for those who want no motion', async t => {
	const v = await visit(t, new Fake(r => r.raw(': ping\n\n')), {reducedMotion: 'reduce'});
	await v.say('Wait');
	await v.page.locator('.dots').waitFor();
	await is(() => v.page.evaluate(() => document.getAnimations().length), 0);
});
