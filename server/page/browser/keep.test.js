// What is kept of conversations, and how they are found again.
import assert from 'node:assert/strict';
import {readFile} from 'node:fs/promises';
import {test} from 'node:test';
import {Fake} from './fake.js';
import {is, visit} from './visit.js';

const rows = v => v.page.locator('#list .title');

async function imports(v, all) {
	const chooser = v.page.waitForEvent('filechooser');
	await v.button('Import conversations').click();
	const buffer = Buffer.from(typeof all === 'string' ? all : JSON.stringify(all));
	await (await chooser).setFiles({name: 'all.json', mimeType: 'application/json', buffer});
}

async function exports(v) {
	const download = v.page.waitForEvent('download');
	await v.button('Export all conversations').click();
	return JSON.parse(await readFile(await (await download).path(), 'utf8'));
}

test('a conversation that could not be deleted is kept as before', async t => {
	const v = await visit(t, new Fake(r => r.text('Herons.').end(), r => r.text('Storks.').end()));
	await v.say('What eats fish?');
	await v.ended();
	await v.page.evaluate(() => { store.remove = async () => { throw new Error('The disk is full.'); }; });
	await v.button('Delete: What eats fish?').click();
	await v.see('.note', 'The change could not be kept: The disk is full.');
	await v.say('What else?');
	await v.ended();
	await v.reload();
	await v.page.getByRole('link', {name: 'What eats fish?'}).click();
	await v.see('.said', 'Storks.');
});

test('a conversation that cannot be read gives way to a new one', async t => {
	const v = await visit(t, new Fake(r => r.text('Herons.').end(), r => r.text('Granite.').end()));
	await v.say('What eats fish?');
	await v.ended();
	await v.button('New chat').click();
	await v.reload();
	await v.page.evaluate(() => { store.messages = async () => { throw new Error('The disk fails.'); }; });
	await v.page.getByRole('link', {name: 'What eats fish?'}).click();
	await v.see('.note', 'The conversation could not be read: The disk fails.');
	await v.say('What is a stone?');
	await v.see('.said', 'Granite.');
	await v.page.evaluate(() => { store.allMessages = async () => { throw new Error('The disk is gone.'); }; });
	await v.button('Export all conversations').click();
	await v.see('.note', 'The disk is gone.');
	assert.match(v.wrong.pop(), /The disk is gone/);
});

test('conversations stay, are found by what was said, renamed, deleted and brought back', async t => {
	const v = await visit(t, new Fake(r => r.text('The heron eats fish.').end(), r => r.text('Granite.').end()));
	await v.say('What does a bird eat?');
	await v.ended();
	await v.button('New chat').click();
	await v.say('What is a stone?');
	await v.ended();
	await v.reload();
	await v.see('.said', 'Granite.');
	await is(() => rows(v).allTextContents(), ['What is a stone?', 'What does a bird eat?']);

	await v.page.getByRole('searchbox').fill('HERON');
	await v.see('#list .found', 'The heron eats fish.');
	await is(() => rows(v).allTextContents(), ['What does a bird eat?']);
	await v.page.getByRole('searchbox').fill('whale');
	await v.see('#list', 'Nothing found.');
	await v.page.getByRole('searchbox').press('Escape');
	await is(() => rows(v).count(), 2);

	await v.button('Rename: What is a stone?').click();
	await v.page.getByLabel('Rename', {exact: true}).fill('Stones');
	await v.page.keyboard.press('Enter');
	await v.see('h1', 'Stones');
	await v.button('Rename: Stones').click();
	await v.page.getByLabel('Rename', {exact: true}).fill('Pebbles');
	await v.page.keyboard.press('Escape');
	await is(() => rows(v).allTextContents(), ['Stones', 'What does a bird eat?']);

	await v.button('Delete: Stones').click();
	await v.see('.note', '“Stones” was deleted.');
	await is(() => v.page.locator('.turn').count(), 0);
	await v.button('Undo').click();
	await v.page.getByRole('link', {name: 'Stones'}).click();
	await v.see('.said', 'Granite.');
	await v.button('Delete: Stones').click();
	await v.see('.note', '“Stones” was deleted.');
	await v.reload();
	await v.page.getByRole('link', {name: 'What does a bird eat?'}).click();
	await v.see('.said', 'The heron eats fish.');
	await is(() => rows(v).count(), 1);
});

test('a conversation that is deleted while it is answered stays deleted', async t => {
	let gone;
	const v = await visit(t, new Fake(r => { gone = r.gone; r.text('Begun'); }));
	await v.say('Begin');
	await v.see('.said', 'Begun');
	await v.button('Delete: Begin').click();
	await gone;
	await v.ended();
	await v.reload();
	await v.see('#list', 'What you talk about will be listed here.');
});

test('what is deleted stays deleted if the page is left the next moment', async t => {
	const v = await visit(t);
	for (let n = 0; n < 10; n++) {
		await v.say('Begin');
		await v.ended();
		const loaded = v.page.waitForEvent('load');
		await v.page.evaluate(() => {
			page.remove(page.open);
			setTimeout(() => location.reload());
		});
		await loaded;
		await v.begun();
		await is(() => rows(v).count(), 0);
	}
});

test('all conversations are exported with their whole trees, and imported elsewhere', async t => {
	let n = 0;
	const fake = () => new Fake(r => r.thought('Hm.').text(`Answer ${++n}`).end());
	const v = await visit(t, fake());
	await v.say('Question');
	await v.ended();
	await v.button('Try again').click();
	await v.see('.versions', '2/2');
	await v.ended();
	await v.button('New chat').click();
	await v.say('Another');
	await v.ended();
	const all = await exports(v);
	assert.deepEqual([all.format, all.version], ['gemma4-conversations', 1]);
	assert.deepEqual(all.conversations.map(c => [c.title, c.messages.map(m => [m.role, m.content])]), [
		['Question', [['user', 'Question'], ['assistant', 'Answer 1'], ['assistant', 'Answer 2']]],
		['Another', [['user', 'Another'], ['assistant', 'Answer 3']]],
	]);

	const w = await visit(t, fake());
	await imports(w, all);
	await w.see('.note', 'Imported 2 conversations, 5 new messages.');
	await is(() => exports(w), all);
	await w.page.getByRole('link', {name: 'Question'}).click();
	await w.see('.versions', '2/2');
	await imports(w, all);
	await w.see('.note', 'Imported 2 conversations, 0 new messages.');
	all.conversations[0].messages.push({id: 'more', parent: all.conversations[0].messages[0].id, role: 'assistant', content: 'Answer 9', created: 1});
	await imports(w, all);
	await w.see('.versions', '2/3');
	await is(() => rows(w).count(), 2);
});

test('files that are wrong are refused, and say where', async t => {
	const v = await visit(t);
	const file = (c, m) => ({format: 'gemma4-conversations', version: 1, conversations: [{id: 'a', title: 'A', created: 1, updated: 1, messages:
		[{id: 'b', parent: '', role: 'user', created: 1, content: 'B'}, {id: 'c', parent: 'b', role: 'assistant', created: 1, content: 'C', ...m}], ...c}]});
	for (const [all, want] of [
		['{"format": ', 'The file is no JSON'],
		['null', 'holds no conversations'],
		[{format: 'openai'}, 'holds no conversations'],
		[{format: 'gemma4-conversations', version: 2}, 'The file is of version 2'],
		[{format: 'gemma4-conversations', version: 1}, 'conversations is no list'],
		[file({id: 7}), 'conversation 1 has no id that can be used'],
		[file({messages: null}), 'conversation 1 has no list of messages'],
		[file({chosen: {b: 1}}), 'conversation 1 has no chosen that can be used'],
		[file({}, {role: 'system'}), 'conversation 1, message 2 has no role that can be used'],
		[file({}, {content: {}}), 'conversation 1, message 2 has no content that can be used'],
		[file({}, {parent: 'c'}), 'conversation 1, message 2 has a parent that does not come before it'],
		[file({}, {id: 'b'}), 'conversation 1, message 2 has the id of one before it'],
		[file({}, {calls: [{id: 'x', name: 'y'}]}), 'conversation 1, message 2 has no calls that can be used'],
		[file({}, null).conversations, 'holds no conversations'],
	]) {
		await imports(v, all);
		await v.see('.note', want);
		await v.button('Dismiss').click();
	}
	await is(() => rows(v).count(), 0);
});

test('what is written, said or asked for while a conversation is read stays', async t => {
	const v = await visit(t);
	for (const text of ['One', 'Two']) {
		await v.button('New chat').click();
		await v.say(text);
		await v.ended();
	}
	await v.reload();
	await v.page.evaluate(() => {
		const {messages} = store;
		globalThis.gates = [];
		store.messages = async id => {
			const read = await messages(id);
			await new Promise(resolve => globalThis.gates.push(resolve));
			return read;
		};
	});
	await v.page.getByRole('link', {name: 'One'}).click();
	await v.page.evaluate(() => { page.openNamed(); });
	await v.until(() => globalThis.gates.length === 2);
	await v.box.fill('Two and a half');
	await v.page.evaluate(() => globalThis.gates[0]());
	await v.see('h1', 'One');
	await is(() => v.box.inputValue(), '');
	await v.say('Another');
	await v.ended();
	await v.page.evaluate(() => globalThis.gates[1]());
	await v.page.getByRole('link', {name: 'Two'}).click();
	await v.see('h1', 'Two');
	await is(() => v.box.inputValue(), 'Two and a half');
	await v.page.getByRole('link', {name: 'One'}).click();
	await v.see('h1', 'One');
	await is(() => v.page.locator('.turn').count(), 4);
});

test('nothing is taken before what is kept is there', async t => {
	const v = await visit(t);
	await v.page.addInitScript(() => Object.defineProperty(IDBOpenDBRequest.prototype, 'onsuccess', {
		set(act) { this.addEventListener('success', e => { globalThis.begin = () => act(e); }); },
	}));
	await v.page.reload();
	await v.until(() => !!globalThis.begin);
	const {x, y} = await v.box.boundingBox();
	await v.page.mouse.click(x + 9, y + 9);
	await v.page.keyboard.type('Too early');
	for (const keys of ['Enter', 'Escape', 'Control+Shift+O']) await v.page.keyboard.press(keys);
	await is(() => v.box.inputValue(), '');
	await v.page.evaluate(() => globalThis.begin());
	await v.begun();
	await v.page.keyboard.type('In time');
	await v.page.keyboard.press('Enter');
	await v.see('.said', 'Paris.');
	await v.ended();
});

test('where nothing can be kept, one chats until the page is closed', async t => {
	const v = await visit(t, new Fake());
	await v.page.addInitScript(() => { IDBFactory.prototype.open = () => { throw new Error('no'); }; });
	await v.reload();
	await v.see('.note', 'This browser keeps nothing for this page');
	await v.say('Here?');
	await v.see('.said', 'Paris.');
	await v.ended();
	await v.button('New chat').click();
	await v.page.getByRole('searchbox').fill('paris');
	await v.see('#list .found', 'Paris.');
	await is(async () => (await exports(v)).conversations[0].messages.length, 2);
	await v.page.getByRole('link', {name: 'Here?'}).click();
	await v.see('.said', 'Paris.');
});
