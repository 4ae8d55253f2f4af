import assert from 'node:assert/strict';
import {readFileSync} from 'node:fs';
import {fileURLToPath} from 'node:url';
import {test} from 'node:test';
import axe from 'axe-core';
import {Fake} from './fake.js';
import {is, visit} from './visit.js';

const models = can => (_, response) => Fake.json(response, {data: [{id: 'fake-4b', max_model_len: 1000, capabilities: ['completion', ...can]}]});
const file = name => fileURLToPath(new URL('../../../nano/testdata/media/' + name, import.meta.url));

// add chooses files by the button.
async function add(v, label, ...files) {
	const chooser = v.page.waitForEvent('filechooser');
	await v.button(label).click();
	await (await chooser).setFiles(files);
}

test('pictures and sounds go with a message, stay in it, and can be taken away', async t => {
	const v = await visit(t, new Fake(), {models: models(['vision', 'audio'])});
	const label = 'Add a file: text, a picture, a sound';
	await v.button(label).waitFor();
	await is(() => v.button('Send').isDisabled(), true);
	await add(v, label, file('picture-1.png'), file('picture-2.png'), file('sound-1.wav'));
	await v.button('Remove sound-1.wav').waitFor();
	await v.button('Remove picture-1.png').click();
	await is(() => v.page.locator('#media img').count(), 1);
	await v.say('What is it?');
	await v.ended();
	const [picture, text, sound] = v.fake.bodies[0].messages[0].content;
	const data = (kind, name) => `data:${kind};base64,` + readFileSync(file(name)).toString('base64');
	assert.deepEqual([picture, text], [{type: 'image_url', image_url: {url: data('image/png', 'picture-2.png')}}, {type: 'text', text: 'What is it?'}]);
	assert.match(sound.audio_url.url, /^data:audio\/(x-)?wav;base64,UklGR/);
	await is(() => v.page.locator('.turn.user img[alt="picture-2.png"]').count(), 1);
	await is(() => v.page.locator('#media').isHidden(), true);
	await v.reload();
	await v.page.locator('.turn.user img[alt="picture-2.png"]').waitFor();
	const download = v.page.waitForEvent('download');
	await v.button('Export all conversations').click();
	const kept = JSON.parse(readFileSync(await (await download).path(), 'utf8')).conversations[0].messages[0].media;
	assert.deepEqual(kept.map(x => x.name), ['picture-2.png', 'sound-1.wav']);
});

test('what is shown and said fits a small screen in the dark, and axe finds nothing serious', async t => {
	const v = await visit(t, new Fake(), {models: models(['vision', 'audio']), viewport: {width: 320, height: 640}, colorScheme: 'dark'});
	await add(v, 'Add a file: text, a picture, a sound', file('picture-1.png'), file('sound-1.wav'));
	await v.button('Remove sound-1.wav').waitFor();
	const faultless = async () => {
		await v.page.evaluate(axe.source);
		const {violations} = await v.page.evaluate(() => axe.run());
		assert.deepEqual(violations.filter(x => ['serious', 'critical'].includes(x.impact)).map(x => [x.id, x.nodes.map(n => n.html)]), []);
		await is(() => v.page.evaluate(() => document.documentElement.scrollWidth <= 320 && document.getElementById('ask').scrollWidth <= 320), true);
	};
	await faultless();
	await v.say('What is it?');
	await v.ended();
	await faultless();
});

test('large pictures lose pixels before they travel', async t => {
	const v = await visit(t, new Fake(), {models: models(['vision'])});
	await v.button('Add a file: text, a picture').waitFor();
	await is(() => v.page.locator('#mic').isHidden(), true);
	await v.page.evaluate(async () => {
		const canvas = Object.assign(document.createElement('canvas'), {width: 4000, height: 2000});
		const blob = await new Promise(resolve => canvas.toBlob(resolve));
		const files = new DataTransfer();
		files.items.add(new File([blob], 'large.png', {type: 'image/png'}));
		for (const kind of ['dragover', 'drop']) document.body.dispatchEvent(new DragEvent(kind, {dataTransfer: files, bubbles: true, cancelable: true}));
	});
	const size = await v.page.locator('#media img').evaluate(async e => { await e.decode(); return [e.naturalWidth, e.naturalHeight]; });
	assert.deepEqual(size, [2280, 1140]);
	await v.button('Send').click(); // without a word
	await v.ended();
	assert.deepEqual(v.fake.bodies[0].messages[0].content.map(p => p.type), ['image_url']);
	await is(() => v.page.locator('#title').textContent(), 'large.png');
});

test('what is spoken into the microphone goes with a message', async t => {
	const v = await visit(t, new Fake(), {models: models(['audio']), permissions: ['microphone']});
	await v.page.evaluate(() => {
		const {mediaDevices} = navigator, get = mediaDevices.getUserMedia.bind(mediaDevices);
		globalThis.asked = 0;
		mediaDevices.getUserMedia = async what => {
			globalThis.asked++;
			await new Promise(resolve => { globalThis.grant = resolve; });
			return get(what);
		};
	});
	await v.button('Speak').click();
	await v.button('Speak').click();
	await is(() => v.page.evaluate(() => globalThis.asked), 1, 'a microphone that nobody ends would stay open');
	await v.page.evaluate(() => globalThis.grant());
	await v.see('#hint', 'Recording …');
	await is(() => v.button('Stop recording').getAttribute('aria-pressed'), 'true');
	await v.see('#hint', /Recording … (?![01] s)/);
	await v.button('Stop recording').press('Enter');
	await v.see('#media', 'Recording, ');
	await v.button('Send').click();
	await v.ended();
	assert.match(v.fake.bodies[0].messages[0].content[0].audio_url.url, /^data:audio\/webm(;codecs=opus)?;base64,GkXf/);
});

test('files that are no pictures say so, and models without senses are offered none', async t => {
	const v = await visit(t, new Fake(), {models: models(['vision'])});
	await v.button('Add a file: text, a picture').waitFor();
	await add(v, 'Add a file: text, a picture', {name: 'a.png', mimeType: 'image/png', buffer: Buffer.from('hello')});
	await v.see('.note', 'a.png is no picture that this browser can show');
	const blind = await visit(t);
	await blind.button('Add a text file').waitFor();
	await is(() => blind.page.locator('#mic').isHidden(), true);
});
