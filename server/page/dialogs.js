'use strict';

// opened shows a dialog until it is closed, by a button, a key or a click beside it.
function opened(dialog) {
	for (const b of dialog.querySelectorAll('.close')) b.onclick = () => dialog.close();
	dialog.onclick = e => { if (e.target === dialog) dialog.close(); };
	dialog.showModal();
	return new Promise(resolve => dialog.addEventListener('close', resolve, {once: true}));
}

// editSettings shows the settings, of the conversation c and of all.
async function editSettings(c, at) {
	const dialog = $('settingsDialog');
	const form = dialog.querySelector('form');
	const field = form.elements;
	field.system.value = c.system;
	field.schema.value = c.schema;
	for (const name of sampling) {
		field[name].value = settings.sampling[name] ?? '';
		field[name].placeholder = words.byDefault;
	}
	for (const radio of field.theme) radio.checked = radio.value === settings.theme;
	const fault = why => {
		$('schemaFault').textContent = why ? words.schemaFault(why) : '';
		field.schema.setAttribute('aria-invalid', String(!!why));
	};
	fault('');
	form.onchange = e => { // the theme shows at once
		if (e.target.name === 'theme') document.documentElement.dataset.theme = field.theme.value;
	};
	form.onsubmit = e => {
		e.preventDefault();
		const schema = field.schema.value.trim();
		if (schema) {
			try {
				const parsed = JSON.parse(schema);
				if (!parsed || typeof parsed !== 'object' || Array.isArray(parsed)) throw new Error(words.schemaKind);
			} catch (e) {
				fault(e.message);
				return field.schema.focus();
			}
		}
		c.schema = schema;
		c.system = field.system.value;
		for (const name of sampling) settings.sampling[name] = field[name].value === '' ? undefined : field[name].valueAsNumber;
		settings.theme = field.theme.value;
		settings.keep();
		page.keepIfBegun(c);
		dialog.close();
	};
	const closed = opened(dialog);
	if (at) field[at].focus();
	await closed;
	settings.show();
	page.showSwitches();
}

// askKey asks for the API key, once for all who need it at the same time, and reports whether one was given.
let asking;
function askKey() {
	return asking ??= (async () => {
		const dialog = $('keyDialog');
		const form = dialog.querySelector('form');
		let given = false;
		form.elements.key.value = '';
		form.onsubmit = e => {
			e.preventDefault();
			server.key = form.elements.key.value.trim();
			given = true;
			dialog.close();
		};
		await opened(dialog);
		asking = undefined;
		return given;
	})();
}

function showKeys() {
	$('keyList').replaceChildren(...words.keyMap.map(([keys, what]) =>
		make('div', {}, make('dt', {}, ...keys.split(' + ').map(k => make('kbd', {}, k))), make('dd', {}, what))));
	return opened($('keysDialog'));
}
