'use strict';

// tools are what a model may call: each is described as the API wants it, and runs here, without a network.
const tools = {
	clock: {
		description: 'Tells the date, the day of the week and the time.',
		parameters: {
			type: 'object',
			properties: {zone: {type: 'string', description: 'IANA time zone such as Europe/Paris. Left out: where the user is.'}},
			additionalProperties: false,
		},
		run({zone}) {
			const timeZone = zone || Intl.DateTimeFormat().resolvedOptions().timeZone;
			const f = new Intl.DateTimeFormat('en-GB', {timeZone, dateStyle: 'full', timeStyle: 'long'});
			return `${f.format(new Date())} (${timeZone})`;
		},
	},
	calculator: {
		description: 'Computes an arithmetic expression: + - * / % ^, brackets, sqrt, abs, round, floor, ceil, ln, log, exp, sin, cos, tan, pi, e.',
		parameters: {
			type: 'object',
			properties: {expression: {type: 'string', description: 'for example (3 + 4) * sqrt(2)'}},
			required: ['expression'],
			additionalProperties: false,
		},
		run: ({expression}) => String(calculate(String(expression))),
	},
};

const toolList = Object.entries(tools).map(([name, {description, parameters}]) =>
	({type: 'function', function: {name, description, parameters}}));

// runTool returns the text of a call's result; what goes wrong is a text, too, for the model to read.
function runTool(call) {
	if (!Object.hasOwn(tools, call.name)) return 'error: ' + words.noTool(call.name);
	let given;
	try {
		given = JSON.parse(call.arguments || '{}');
	} catch {}
	if (!given || typeof given !== 'object') return 'error: ' + words.badArguments;
	try {
		return tools[call.name].run(given);
	} catch (e) {
		return 'error: ' + e.message;
	}
}

// calculate returns the value of an arithmetic expression, by descent: sum of products of signed powers.
function calculate(text) {
	const functions = {sqrt: Math.sqrt, abs: Math.abs, round: Math.round, floor: Math.floor, ceil: Math.ceil, ln: Math.log, log: Math.log10,
		exp: Math.exp, sin: Math.sin, cos: Math.cos, tan: Math.tan};
	const constants = {pi: Math.PI, e: Math.E};
	if (text.length > 1000) throw new Error('the expression has more than 1000 characters');
	const parts = text.toLowerCase().match(/\d+(?:\.\d*)?(?:e[+-]?\d+)?|\.\d+(?:e[+-]?\d+)?|[a-z]+|\*\*|\S/g) ?? [];
	let at = 0;
	const next = (...any) => any.includes(parts[at]) ? parts[at++] : '';
	const need = what => { if (!next(what)) throw new Error(`expected ${what} ${parts[at] ? 'before ' + parts[at] : 'at the end'}`); };
	const sum = () => {
		let x = product();
		for (let sign; (sign = next('+', '-', '−'));) x = sign === '+' ? x + product() : x - product();
		return x;
	};
	const product = () => {
		let x = signed();
		for (let sign; (sign = next('*', '×', '/', '÷', '%'));) {
			const y = signed();
			x = '*×'.includes(sign) ? x * y : sign === '%' ? x % y : x / y;
		}
		return x;
	};
	const signed = () => next('-', '−') ? -signed() : next('+') ? signed() : power();
	const power = () => {
		const x = value();
		return next('^', '**') ? x ** signed() : x;
	};
	const value = () => {
		const part = parts[at++];
		if (part === '(') {
			const x = sum();
			need(')');
			return x;
		}
		if (part && Object.hasOwn(constants, part)) return constants[part];
		if (part && Object.hasOwn(functions, part)) {
			need('(');
			const x = sum();
			need(')');
			return functions[part](x);
		}
		if (!/^[.\d]/.test(part ?? '')) throw new Error(part ? `${part} is neither a number nor a function` : 'the expression ends too early');
		return Number(part);
	};
	const x = sum();
	if (at < parts.length) throw new Error(`${parts[at]} is not expected here`);
	return Number(x.toPrecision(15));
}
