//go:build !linux

package main

import "errors"

// microphone is there on Linux only.
func microphone() (*intake, error) {
	return nil, errors.New("the microphone is read on Linux only; pipe sound to gemma4 listen -, such as by " +
		"ffmpeg -f avfoundation -i :0 -ar 16000 -ac 1 -f s16le - (macOS) or ffmpeg -f dshow -i audio=NAME … (Windows)")
}
