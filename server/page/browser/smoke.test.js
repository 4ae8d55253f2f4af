// The page on a server that runs: SERVER=http://127.0.0.1:8080/ node --test smoke.test.js, after gemma4 serve with the embedded model.
import {test} from 'node:test';
import {is, visit} from './visit.js';

test('the page chats with gemma4 serve', {skip: !process.env.SERVER && 'SERVER names no server'}, async t => {
	const v = await visit(t, {address: process.env.SERVER, reports: [], start() {}, stop() {}});
	await v.button('Settings').click();
	await v.page.getByLabel('Temperature').fill('0');
	await v.button('Save').click();
	await v.say('What is the capital of France?');
	await v.see('.said', 'The capital of France is Paris.');
	await v.ended();
	await v.see('.stats', /^\d+ tokens · [\d,.]+ tokens\/s$/);
	await v.see('#used', /^\d+ of [\d,]+ tokens$/);

	await v.button('Edit', v.answers).click();
	await v.answers.locator('textarea').fill('The capital of France');
	await v.button('Save as a version').click();
	await v.button('Continue').click();
	await v.see('.said', 'The capital of France is Paris.');
	await v.ended();

	await v.button('Think').click();
	await v.button('Tools').click();
	await v.say('And of Italy?');
	await v.ended();
	await is(() => v.page.locator('.turn .fault').allTextContents().then(all => all.join('')), '');

	await v.button('Tools').click();
	await v.button('Settings').click();
	await v.page.getByLabel('JSON schema of answers').fill('{"type": "object", "properties": {"city": {"enum": ["Rome", "Paris"]}}, "required": ["city"]}');
	await v.button('Save').click();
	await v.say('Which city?');
	await v.see('.code code', /^\{"city": ?"(Rome|Paris)"\}$/);
	await v.ended();

	await v.page.evaluate(() => dispatchEvent(Object.assign(new Event('drop'), {
		dataTransfer: {files: [new File(['one two three'], 'notes.txt')], types: ['Files']}})));
	await v.see('.note', /notes\.txt: \d+ tokens\./);
});
