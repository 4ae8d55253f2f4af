// What the page does when the server does something else than to answer.
import assert from 'node:assert/strict';
import {test} from 'node:test';
import {Fake} from './fake.js';
import {gate, is, visit} from './visit.js';

// stopped stops the page's clock: timers and frames come when the test lets time pass.
async function stopped(v) {
	await v.page.clock.install({time: 0});
	await v.page.clock.pauseAt(3_600_000);
}

test('a key is asked for once, kept for the tab, and sent', async t => {
	const keyed = (request, response) => request.headers.authorization === 'Bearer open sesame' || !response.writeHead(401).end();
	const v = await visit(t, new Fake(r => keyed(r.request, r.response) && r.text('Yes.').end()), {
		faults: [/401/],
		models: (request, response) => keyed(request, response) && Fake.json(response, {data: [{id: 'fake-4b', max_model_len: 1000}]}),
	});
	const dialog = v.page.getByRole('dialog', {name: 'API key'});
	await dialog.getByLabel('Key').fill('wrong');
	await v.button('Go on').click();
	await v.page.waitForFunction(() => document.querySelector('#keyDialog[open] input')?.value === ''); // it is asked for again
	await dialog.getByLabel('Key').fill('open sesame');
	await v.button('Go on').click();
	await v.see('#about', 'fake-4b');
	await v.say('May I?');
	await v.see('.said', 'Yes.');
	await v.ended();
	await v.reload();
	await v.see('#model', 'fake-4b');
	await v.say('Again?');
	await v.ended();
	const kept = await v.page.evaluate(() => [JSON.stringify({...localStorage}), JSON.stringify({...sessionStorage})]);
	assert.deepEqual(kept.map(s => s.includes('open sesame')), [false, true]);
});

test('a key that is not given ends in an error that says so', async t => {
	const v = await visit(t, new Fake(), {faults: [/401/], models: (_, response) => response.writeHead(401).end()});
	await v.button('Cancel', v.page.locator('#keyDialog')).click();
	await v.see('.note', 'The server asks for an API key.');
});

test('a busy server is asked again when it said', async t => {
	const v = await visit(t, new Fake(r => r.refuse(429, 'All places are taken.', {'Retry-After': '5'}), r => r.text('Now.').end()), {faults: [/429/]});
	await stopped(v);
	await v.say('Now?');
	await v.until(() => !!runs.get(page.open.id).wait);
	await v.page.clock.runFor(100);
	await v.see('.fault', 'The server is busy. All places are taken.');
	await v.see('.fault .wait', 'Trying again in 5 s.');
	await v.page.clock.runFor(2000);
	await v.see('.fault .wait', 'Trying again in 3 s.');
	assert.equal(v.fake.bodies.length, 1);
	await v.page.clock.runFor(3000);
	await v.ended();
	await v.see('.said', 'Now.');
	assert.equal(v.fake.bodies.length, 2);
	await is(() => v.page.locator('.turn .fault').textContent(), '');
});

test('waiting for a busy server can be cut short, or ended', async t => {
	const v = await visit(t, new Fake(r => r.refuse(429, 'Full.', {'Retry-After': '1000'}), r => r.refuse(503, 'Draining.', {'Retry-After': '1000'}),
		r => r.text('Now.').end()), {faults: [/429|503/]});
	await v.say('Now?');
	await v.see('.wait', /Trying again in \d+ min/);
	await v.button('Try now').click();
	await v.see('.fault', 'The server is not ready. Draining.');
	await v.page.keyboard.press('Escape');
	await v.see('.stats', 'Stopped');
	await v.button('Try again').click();
	await v.see('.said', 'Now.');
	await v.ended();
});

test('a server that loads its model is waited for', async t => {
	let loaded = false; // when the page has said that it waits
	const v = await visit(t, new Fake(r => loaded ? r.text('Loaded.').end() : r.refuse(503, 'Loading model', {'Retry-After': '1'})), {
		faults: [/503/],
		models: (_, response) => loaded ? Fake.json(response, {data: [{id: 'fake-4b', meta: {n_ctx: 500}}]})
			: Fake.json(response, {error: {code: 503, message: 'Loading model', type: 'unavailable_error'}}, 503),
	});
	await v.see('.note', 'The server is not ready. Loading model');
	loaded = true;
	await v.see('#about', 'fake-4b');
	await v.note.waitFor({state: 'detached'});
	loaded = false;
	await v.say('Ready?');
	await v.see('.fault', 'The server is not ready. Loading model');
	loaded = true;
	await v.see('.said', 'Loaded.');
	await v.ended();
	await v.see('#used', '30 of 500 tokens');
});

test('an answer whose connection is lost says so, and goes on', async t => {
	const {open, opened} = gate();
	const v = await visit(t, new Fake(async r => { r.text('Half'); await opened; r.cut(); }, r => r.response.end(), r => r.text(' whole.').end()),
		{faults: [/ERR_/]});
	await v.say('Whole?');
	await v.see('.said', 'Half');
	open();
	await v.see('.fault', 'The connection was lost.');
	await is(() => v.page.locator('.said').last().textContent(), 'Half\n');
	await v.button('Try again', v.page.locator('.fault')).click();
	await v.see('.fault', /status 200/);
	await v.button('Try again', v.page.locator('.fault')).click();
	await v.see('.said', 'Half whole.');
	await v.ended();
	assert.equal(v.fake.bodies[2].messages.at(-1).content, 'Half');
});

test('an answer that ends without an end is lost', async t => {
	const v = await visit(t, new Fake(r => r.text('Half').response.end(), r => r.raw('data: {"choices": [{"del').response.end('\n\n')));
	await v.say('Whole?');
	await v.see('.fault', 'The connection was lost.');
	await v.button('Try again', v.answers.locator('.foot')).click();
	await v.see('.versions', '2/2');
	await v.see('.fault', 'The connection was lost.');
});

test('a connection without a byte for 90 s is lost, and pings keep it', async t => {
	const {open, opened} = gate();
	const v = await visit(t, new Fake(async r => {
		r.text('Slow');
		await opened;
		r.raw(': ping\n\n').delta({content: 'ly'});
	}));
	await stopped(v);
	await v.say('Slowly?');
	await v.until(() => page.open.messages.values().some(m => m.content === 'Slow'));
	await v.page.clock.runFor(80_000);
	open();
	await v.until(() => page.open.messages.values().some(m => m.content === 'Slowly'));
	await v.page.clock.runFor(80_000);
	await is(() => v.page.locator('#stop').isVisible(), true);
	await v.page.clock.runFor(11_000);
	await v.see('.fault', 'The connection was lost.');
});

test('errors are shown as the server tells them', async t => {
	const overlong = 'This model\'s maximum context length is 1000 tokens. However, your messages resulted in 2000 tokens.';
	const v = await visit(t, new Fake(r => r.refuse(400, overlong), r => r.text('Well').raw('data: {"error":{"message":"The engine stopped.","code":500}}\n\n').response.end(),
		r => r.response.writeHead(502, {'Content-Type': 'text/html'}).end('<h1>Bad gateway</h1>')), {faults: [/400|502/]});
	await v.say('Long?');
	await v.see('.fault', overlong);
	await v.button('Try again', v.page.locator('.fault')).click();
	await v.see('.fault', 'The engine stopped.');
	await v.see('.said', 'Well');
	await v.button('Try again', v.answers.locator('.foot')).click();
	await v.see('.fault', 'The server answered with status 502');
});

test('a server that cannot be reached is asked until it answers', async t => {
	const v = await visit(t, new Fake(), {faults: [/ERR_/]});
	await v.see('#about', 'fake-4b');
	await v.context.setOffline(true);
	await v.say('There?');
	await v.see('.fault', 'The server cannot be reached.');
	await v.context.setOffline(false);
	await v.button('Try again', v.page.locator('.fault')).click();
	await v.see('.said', 'Paris.');
	await v.ended();
});

test('the page works below a path', async t => {
	const v = await visit(t, new Fake(), {prefix: '/models/one'});
	await v.see('#about', 'fake-4b');
	await v.say('Below?');
	await v.see('.said', 'Paris.');
	await v.ended();
	assert.deepEqual(v.fake.paths, ['/models/one/', '/models/one/v1/models', '/models/one/v1/chat/completions']);
	await is(async () => (await v.page.evaluate(() => indexedDB.databases())).map(d => d.name), ['gemma4 /models/one/']);
});
