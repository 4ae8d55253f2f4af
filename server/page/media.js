'use strict';

// media are pictures and sounds that are said with a message: {kind: 'image' or 'audio', name, data: a data: URL, seconds, of a recording}.
// Models read pictures before the text and sounds behind it.
const media = {
	pixels: 2.6e6, // of a picture, at most: more than that no model sees
	bytes: 16 << 20, // of a file, at most
	asIs: /^audio\/(?:x-wav|wav|wave|mpeg|mp3|flac|x-flac|ogg|opus|webm)\b/, // what the server decodes itself
	valid: /^data:(?:image\/(?:png|jpeg|webp|gif)|audio\/[\w.+-]+)(?:;codecs=[\w.]+)?;base64,[\w+/=]*$/,
	recorder: null,

	// kind tells what a file is to the model, by its type: nothing, if it is neither or the model does not take it.
	kind: f => /^image\/(?!svg)/.test(f.type) && server.sees ? 'image' : /^audio\//.test(f.type) && server.hears ? 'audio' : '',

	// parts returns the content of a message as the server reads it.
	parts(m) {
		if (!m.media?.length) return m.content;
		const {budget} = settings.sampling;
		const of = kind => m.media.filter(x => x.kind === kind);
		return [
			...of('image').map(x => ({type: 'image_url', image_url: {url: x.data}, ...budget && {budget}})),
			...m.content.trim() ? [{type: 'text', text: m.content}] : [],
			...of('audio').map(x => ({type: 'audio_url', audio_url: {url: x.data}})),
		];
	},

	url: blob => new Promise((resolve, reject) => {
		const r = new FileReader();
		r.onload = () => resolve(r.result.replace(/^data:[^,]*,/, `data:${blob.type.replace(/\s/g, '')};base64,`));
		r.onerror = () => reject(r.error);
		r.readAsDataURL(blob);
	}),

	// picture returns a picture that is small enough; large ones lose pixels here, so that they need not travel.
	async picture(f) {
		const bitmap = await createImageBitmap(f);
		const scale = Math.min(1, Math.sqrt(media.pixels / (bitmap.width * bitmap.height)));
		let blob = f;
		if (scale < 1 || f.size > 2 << 20 || !/^image\/(?:png|jpeg|webp|gif)$/.test(f.type)) {
			const canvas = make('canvas', {width: Math.max(1, Math.floor(bitmap.width * scale)), height: Math.max(1, Math.floor(bitmap.height * scale))});
			const draw = canvas.getContext('2d');
			draw.imageSmoothingQuality = 'high';
			draw.fillStyle = '#fff';
			draw.fillRect(0, 0, canvas.width, canvas.height);
			draw.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
			blob = await new Promise(resolve => canvas.toBlob(resolve, 'image/jpeg', 0.92));
		}
		bitmap.close();
		return {kind: 'image', name: f.name, data: await media.url(blob)};
	},

	// sound returns a sound as it is, or what the browser makes of it where the server does not decode its format.
	async sound(f, name = f.name, seconds) {
		const blob = media.asIs.test(f.type) ? f : await media.wave(f);
		return {kind: 'audio', name, data: await media.url(blob), ...seconds && {seconds}};
	},

	// wave returns a WAV of 16 kHz and one channel.
	async wave(f) {
		const context = new OfflineAudioContext(1, 1, 16000);
		const sound = await context.decodeAudioData(await f.arrayBuffer());
		const n = sound.length, bytes = new DataView(new ArrayBuffer(44 + 2 * n));
		const text = (at, s) => [...s].forEach((c, i) => bytes.setUint8(at + i, c.charCodeAt(0)));
		text(0, 'RIFF'); bytes.setUint32(4, 36 + 2 * n, true); text(8, 'WAVEfmt '); bytes.setUint32(16, 16, true);
		bytes.setUint16(20, 1, true); bytes.setUint16(22, 1, true); bytes.setUint32(24, 16000, true); bytes.setUint32(28, 32000, true);
		bytes.setUint16(32, 2, true); bytes.setUint16(34, 16, true); text(36, 'data'); bytes.setUint32(40, 2 * n, true);
		const channels = Array.from({length: sound.numberOfChannels}, (_, i) => sound.getChannelData(i));
		for (let i = 0; i < n; i++) {
			const x = channels.reduce((sum, c) => sum + c[i], 0) / channels.length;
			bytes.setInt16(44 + 2 * i, Math.max(-1, Math.min(1, x)) * 32767, true);
		}
		return new Blob([bytes], {type: 'audio/wav'});
	},

	// record records what is said until it is called again, and adds it to the message.
	async record() {
		// Until the browser gives the microphone, there is nothing to end.
		if (media.recorder) return media.recorder.stop?.();
		media.recorder = {};
		const c = page.open;
		let stream;
		try {
			stream = await navigator.mediaDevices.getUserMedia({audio: {channelCount: 1}});
		} catch (e) {
			media.recorder = null;
			return note('fault', words.noMicrophone(e.message));
		}
		const recorder = media.recorder = new MediaRecorder(stream, {audioBitsPerSecond: 96000});
		const pieces = [], began = performance.now();
		const seconds = () => (performance.now() - began) / 1000;
		const tick = setInterval(() => media.showRecorder(seconds()), 500);
		recorder.ondataavailable = e => pieces.push(e.data);
		recorder.onstop = async () => {
			const took = seconds();
			media.recorder = null;
			clearInterval(tick);
			for (const track of stream.getTracks()) track.stop();
			media.showRecorder();
			const type = recorder.mimeType.replace(/\s/g, '');
			try {
				page.addMedia(c, await media.sound(new Blob(pieces, {type}), words.recording(took), took));
			} catch (e) {
				note('fault', words.notSound(words.recording(took), e.message));
			}
			$('box').focus();
		};
		recorder.start();
		media.showRecorder(0);
	},

	// showRecorder shows how long is being recorded; nothing: no longer.
	showRecorder(seconds) {
		const label = seconds === undefined ? words.record : words.endRecord;
		const button = $('mic');
		button.classList.toggle('on', seconds !== undefined);
		button.setAttribute('aria-pressed', String(seconds !== undefined));
		button.setAttribute('aria-label', label);
		button.title = label;
		$('hint').textContent = seconds === undefined ? words.hint : words.recordingNow(seconds);
	},

	// boxes returns what shows these; remove, if there is one, takes one away.
	boxes: (all, remove) => all.map((x, i) => make('div.medium', {role: 'listitem'},
		x.kind === 'image' ? make('img', {src: x.data, alt: x.name, title: x.name}) : make('span.clip', {}, icon('mic'), make('span', {}, x.name)),
		remove && iconButton('close', words.removeMedium(x.name), () => remove(i)))),
};
