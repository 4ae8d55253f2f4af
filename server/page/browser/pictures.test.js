// Pictures of the page for those who look at it: PICTURES=/some/folder node --test pictures.test.js
import {mkdirSync} from 'node:fs';
import {join} from 'node:path';
import {test} from 'node:test';
import {Fake} from './fake.js';
import {visit} from './visit.js';

const answer = `A stone falls because the Earth and the stone **pull on each other**. Near the ground the pull gives every stone the same acceleration, *g* ≈ 9.81 m/s², whatever it weighs.

### How far it falls

1. After one second it is 4.9 m lower.
2. After two seconds, four times as far: the distance grows with the square of the time.
   - Air takes some of that.

\`\`\`python
def fallen(seconds, g=9.81):
    """Metres that a stone has fallen, without air."""
    return g * seconds**2 / 2
\`\`\`

| seconds | metres | speed |
|---|---:|---:|
| 1 | 4.9 | 35 km/h |
| 2 | 19.6 | 71 km/h |
| 3 | 44.1 | 106 km/h |

> Galileo rolled balls down a ramp to slow the fall until water clocks could time it.

Call \`fallen(3)\`, or read [about Galileo](https://example.org/galileo).`;

for (const [name, width, height, scheme] of [
	['narrow-light', 320, 640, 'light'], ['narrow-dark', 320, 640, 'dark'], ['wide-light', 1280, 800, 'light'], ['wide-dark', 1280, 800, 'dark'],
]) {
	test(`pictures: ${name}`, {skip: !process.env.PICTURES && 'PICTURES names no folder'}, async t => {
		const folder = process.env.PICTURES;
		mkdirSync(folder, {recursive: true});
		const v = await visit(t, new Fake(
			r => r.text('Tea, a walk, and the *Goldberg Variations*.').end(),
			r => r.thought('They ask about falling.').call(0, 'calculator', '{"expression":"9.81 * 2^2 / 2"}').end('tool_calls'),
			r => r.text(answer).end('stop', {prompt_tokens: 180, completion_tokens: 231}),
			r => r.progress(1024, 5000, 0, 9000),
			r => r.refuse(429, 'All 64 places are taken.', {'Retry-After': '20'}),
		), {viewport: {width, height}, colorScheme: scheme, hasTouch: width < 400, faults: [/429/]});
		const shot = what => v.page.screenshot({path: join(folder, `${name}-${what}.png`)});
		await v.see('#about', 'fake-4b');
		await shot('1-hello');
		await v.page.evaluate(() => { page.open.tools = page.open.think = true; page.showSwitches(); });
		await v.box.fill('What helps on a grey day?');
		await v.button('Send').click();
		await v.ended();
		await v.page.evaluate(() => page.newChat());
		await v.box.fill('Why does a stone fall, and how far in two seconds?');
		await v.button('Send').click();
		await v.see('.stats', 'tokens/s');
		await v.ended();
		await shot('2-answer');
		await v.page.evaluate(() => { document.getElementById('talk').scrollTop = 0; });
		await v.page.locator('.call summary').first().click();
		await shot('3-top');
		await v.box.fill('And on the Moon?');
		await v.button('Send').click();
		await v.see('.state', 'Reading');
		await shot('4-reading');
		await v.button('Stop').click();
		await v.ended();
		await v.button('Try again', v.answers.last().locator('.foot')).click();
		await v.see('.fault', 'Trying again in');
		await shot('5-busy');
		await v.button('Settings').click();
		await shot('6-settings');
		await v.page.keyboard.press('Escape');
		await v.button('Stop').click();
		await v.ended();
		if (width < 400) await v.button('Show conversations').click();
		await shot('7-side');
		await v.page.keyboard.press('?');
		await shot('8-keys');
	});
}
