// A visit is a browser on the page of a fake server. When the test ends, nothing may have gone wrong that nobody sees: a request to another
// place, a message in the console, a dialog of the browser, a report about the policy.
import assert from 'node:assert/strict';
import {after, before} from 'node:test';
import {isDeepStrictEqual} from 'node:util';
import {chromium} from 'playwright-core';
import {Fake} from './fake.js';

let browser;
before(async () => {
	browser = await chromium.launch({executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', timeout: 90_000, args: ['--no-sandbox', '--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream']});
});
after(() => browser?.close());

// visit opens the page of a fake server, or of one that runs elsewhere: {address, reports: [], start() {}, stop() {}}.
export async function visit(t, fake = new Fake(), {prefix = '', faults = [], models, ...options} = {}) {
	if (models) fake.models = models;
	await fake.start(prefix);
	const context = await browser.newContext({viewport: {width: 1280, height: 800}, ...options});
	await context.addInitScript(() => addEventListener('securitypolicyviolation', e => console.error('policy: ' + e.violatedDirective + ' ' + e.blockedURI)));
	await context.addInitScript(() => { // what the page shows for seconds stays: a busy machine may look later
		const set = setTimeout;
		globalThis.setTimeout = (act, ms, ...x) => [1500, 10_000].includes(ms) ? 0 : set(act, ms, ...x);
	});
	const page = await context.newPage();
	page.setDefaultTimeout(90_000); // what only a hang reaches, on a machine that has much else to do
	const wrong = [];
	const watch = page => {
		page.on('console', m => {
			if (['error', 'warning'].includes(m.type()) && !faults.some(f => f.test(m.text()))) wrong.push(`console: ${m.text()}`);
		});
		page.on('pageerror', e => wrong.push(`error: ${e.stack}`));
		page.on('dialog', d => { wrong.push(`dialog: ${d.message()}`); d.dismiss(); });
		page.on('popup', () => wrong.push('a window was opened'));
	};
	watch(page);
	context.on('request', r => {
		if (!r.url().startsWith(fake.address) && !/^(?:data|blob):/.test(r.url())) wrong.push(`request: ${r.url()}`);
	});
	t.after(async () => {
		if (!t.passed) t.diagnostic(JSON.stringify([await page.locator('body').innerText().catch(String), fake.bodies, wrong]).slice(0, 4000));
		await context.close();
		fake.stop();
		assert.deepEqual([...wrong, ...fake.reports.filter(r => !faults.some(f => f.test(r)))], []);
	});
	await page.goto(fake.address);
	// begun waits until the page shows what it has kept, and listens to keys; what comes later could take the focus from a test.
	const begun = () => page.locator('#talk:not([aria-busy])').waitFor();
	const v = {
		page, fake, context, wrong, begun,
		box: page.locator('#box'),
		turn: n => page.locator('.turn').nth(n),
		answers: page.locator('.turn.assistant'),
		note: page.locator('.note'),
		button: (name, within = page) => within.getByRole('button', {name, exact: true}),
		async reload() {
			await v.until(() => !store.waiting); // a reload is quicker than a user: what was done just before would be lost
			await page.reload();
			await begun();
		},
		async say(text) {
			await v.box.fill(text);
			await v.box.press('Enter');
		},
		// ended waits until nothing is being answered.
		ended: () => page.locator('#send:not([hidden])').waitFor(),
		// until waits until what is asked of the page, whose answer may be a promise, is so.
		async until(ask) {
			for (const end = Date.now() + 90_000; !await v.page.evaluate(ask);) {
				assert.ok(Date.now() < end, `not so within 90 s: ${ask}`);
				await page.waitForTimeout(20);
			}
		},
		// see waits until what there is of a selector has this text.
		see: (selector, text) => page.locator(selector, {hasText: text}).first().waitFor(),
	};
	await begun();
	return v;
}

// processor returns a function that tells the seconds of processor time that the page's thread has used.
export async function processor(v) {
	const session = await v.context.newCDPSession(v.page);
	await session.send('Performance.enable', {timeDomain: 'threadTicks'});
	return async () => (await session.send('Performance.getMetrics')).metrics.find(m => m.name === 'TaskDuration').value;
}

// is waits until what is asked, a value or a promise of one, is what is wanted: what a page shows comes a little after what was done.
export async function is(ask, wanted, message) {
	for (const end = Date.now() + 90_000;;) {
		const got = await ask();
		if (isDeepStrictEqual(got, wanted)) return;
		if (Date.now() > end) assert.deepEqual(got, wanted, message);
		await new Promise(resolve => setTimeout(resolve, 20));
	}
}

// gate returns a promise and what resolves it: a reply waits for what the test does.
export function gate() {
	let open;
	const opened = new Promise(resolve => { open = resolve; });
	return {open, opened};
}
