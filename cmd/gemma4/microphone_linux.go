package main

import (
	"fmt"
	"slices"

	"github.com/gogemma/gemma4/media/sound"
	"github.com/jfreymuth/pulse"
)

// microphone returns the sound of the default source of PulseAudio, or of PipeWire, which speaks its language.
func microphone() (*intake, error) {
	client, err := pulse.NewClient(pulse.ClientApplicationName("gemma4"))
	if err != nil {
		return nil, noMicrophone(err)
	}
	in := emptyIntake()
	stream, err := client.NewRecord(pulse.Float32Writer(func(samples []float32) (int, error) {
		in.put(slices.Clone(samples), nil)
		return len(samples), nil
	}), pulse.RecordMono, pulse.RecordSampleRate(sound.Rate), pulse.RecordLatency(0.1))
	if err != nil {
		client.Close()
		return nil, noMicrophone(err)
	}
	in.close = client.Close
	stream.Start()
	return in, nil
}

func noMicrophone(err error) error {
	const without = "arecord -f S16_LE -r 16000 -c 1 -t raw | gemma4 listen - does without PulseAudio and PipeWire"
	return fmt.Errorf("the microphone: %w; %s", err, without)
}
