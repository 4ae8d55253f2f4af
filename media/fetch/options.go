package fetch

import (
	"cmp"
	"image"
	"time"

	"github.com/gogemma/gemma4/chat"
)

// Options say where media may come from, and how much they may be. The zero value allows what messages bring with them.
type Options struct {
	// HTTP allows http and https URLs, of public addresses.
	HTTP bool
	// Private allows, with HTTP, also addresses that are not public: those of this machine and of networks around it.
	Private bool
	// Time is how long the download of one file may take; 0: 30 s.
	Time time.Duration
	// Root is a folder whose files URLs may name, as file:///…, and nothing outside of it, through links neither; empty: none.
	Root string

	// Bytes is the most that the files of a message may have together; 0: 256 MB.
	Bytes int64
	// Pixels is the most that its pictures may have together, and those frames of its videos that are looked at; 0: 600 million, which is
	// 60 frames of 3840 × 2160.
	Pixels int64
	// Picture is the most that one of them may have; 0: 100 million.
	Picture int64
	// Duration is the most that its sounds may take together; 0: an hour.
	Duration time.Duration

	// Resize, if set, makes each picture and frame smaller as soon as it is there, to a budget of tokens: no two of them are in memory in
	// full. [github.com/gogemma/gemma4.Model.Picture] does so.
	Resize func(m image.Image, budget chat.Budget) (image.Image, error)
	// Turns, if set, bounds how much is decoded at once by all that share it: each file takes a place in it meanwhile.
	Turns chan struct{}
	// FFmpeg is the program, as "ffmpeg" or a path, that [File] may run for what is not decoded here; empty: none is.
	FFmpeg string
	// Note, if set, is told what somebody who gave a video wants to know: that of a long one only some frames are seen, and that its sound
	// is not heard.
	Note func(text string)
}

func (o Options) time() time.Duration     { return cmp.Or(max(o.Time, 0), 30*time.Second) }
func (o Options) bytes() int64            { return cmp.Or(max(o.Bytes, 0), 256<<20) }
func (o Options) pixels() int64           { return cmp.Or(max(o.Pixels, 0), 600e6) }
func (o Options) picture() int64          { return cmp.Or(max(o.Picture, 0), 100e6) }
func (o Options) duration() time.Duration { return cmp.Or(max(o.Duration, 0), time.Hour) }
