package server

import (
	"context"
	"errors"
	"fmt"
	"image"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/chat"
	"github.com/gogemma/gemma4/media"
	"github.com/gogemma/gemma4/media/fetch"
)

const (
	mediaBody   = 64 << 20 // bytes of a body where the model sees or hears, unless Options say otherwise
	mostPixels  = 600e6    // of the media of a request, 60 frames of 3840 × 2160,
	mostPicture = 50e6     // and of each: decoding takes up to 32 bytes for each
	mostDecoded = 2        // files that are decoded at once
	tokenTime   = 40 * time.Millisecond
)

// sense finds out whether the model takes pictures and sounds.
func (s *Server) sense() {
	if _, err := s.m.Picture(image.NewGray(image.Rect(0, 0, 48, 48)), chat.LowBudget); errors.Is(err, gemma4.ErrSense) {
		s.blind = err
	}
	if _, err := s.m.SoundInput(nil); errors.Is(err, gemma4.ErrSense) {
		s.deaf = err
	}
	s.can = []string{"completion", "tools", "thinking"}
	if s.blind == nil {
		s.can = append(s.can, "vision")
	}
	if s.deaf == nil {
		s.can = append(s.can, "audio")
	}
}

// lacks returns the failure for a part that the model does not take; nil: it does.
func (s *Server) lacks(path, kind string) error {
	err := s.blind
	if kind == "audio" {
		err = s.deaf
	}
	if err == nil {
		return nil
	}
	return unsupported(path, "%s is of type %s: %v", path, kind, err)
}

// fetch gets what a part only names: its picture as the model sees it, its sound, its frames. All parts of a request share their limits,
// and all requests the places where files are decoded. A part that the model does not take is refused before anything is done.
func (c *call) fetch(path string, p *chat.Part) error {
	if p.URL == "" && p.Data == nil { // text, or what is there
		return nil
	}
	if err := c.s.lacks(path, p.Type); err != nil {
		return err
	}
	if c.fetcher == nil {
		c.fetcher = fetch.New(fetch.Options{
			HTTP: c.s.o.Fetch, Bytes: c.s.o.MaxBody, Pixels: mostPixels, Picture: mostPicture, Turns: c.s.decoding,
			Duration: time.Minute + time.Duration(c.s.context)*tokenTime, // more than that has no room
			Resize: func(m image.Image, budget chat.Budget) (image.Image, error) {
				p, err := c.s.m.Picture(m, budget)
				if err != nil {
					return nil, err
				}
				return p, nil
			},
		})
	}
	c.fetcher.Note = func(text string) { // headers are there before any body
		c.s.log.Info("media", "request", c.id, "path", path, "note", text)
		c.w.Header().Add("X-Media-Note", path+": "+text)
	}
	err := c.fetcher.Part(c.ctx, p)
	if err == nil {
		return nil
	}
	if c.ctx.Err() != nil {
		return context.Cause(c.ctx)
	}
	f := bad(path, "%s: %s", path, strings.TrimPrefix(err.Error(), "fetch: "))
	switch {
	case errors.Is(err, fetch.ErrTooLarge):
		f.status, f.code = http.StatusRequestEntityTooLarge, "too_large"
	case errors.Is(err, fetch.ErrNotAllowed):
		f.code = "unsupported"
		if !c.s.o.Fetch {
			f.message += " (option Fetch, gemma4 serve -fetch)"
		}
	}
	return f
}

// fetchAll is fetch for all parts of messages, which stand in the field messages.
func (c *call) fetchAll(messages []chat.Message) error {
	for i := range messages {
		for k := range messages[i].Parts {
			if err := c.fetch(fmt.Sprintf("messages[%d].content[%d]", i, k), &messages[i].Parts[k]); err != nil {
				return err
			}
		}
	}
	return nil
}

// shows reports whether messages have parts that are no text.
func shows(messages []chat.Message) bool {
	return slices.ContainsFunc(messages, func(m chat.Message) bool {
		return slices.ContainsFunc(m.Parts, func(p chat.Part) bool { return p.Type != "text" })
	})
}

// sensed counts the positions of a request's prompt that are pictures, those of videos among them, and sounds.
func (c *call) sensed(r gemma4.Request) (pictures, sounds int, err error) {
	if !shows(r.Messages) {
		return 0, 0, nil
	}
	ids, err := c.render(conversationOf(r))
	if err != nil {
		return 0, 0, err
	}
	tok := c.s.m.Tokenizer()
	of := func(text string) (n int) {
		if place, ok := tok.ID(text); ok {
			for _, id := range ids {
				if id == place {
					n++
				}
			}
		}
		return n
	}
	return of("<|image|>") + of("<|video|>"), of("<|audio|>"), nil
}

// conversationOf returns the conversation that a request continues.
func conversationOf(r gemma4.Request) chat.Conversation {
	return chat.Conversation{Messages: r.Messages, Tools: r.Tools, Thinking: r.Thinking, Variables: r.Variables, Continue: r.Continue}
}

// attachment returns the part that the bytes of a file are, by what they contain, where a protocol does not say: a picture or a sound.
func attachment(data []byte) chat.Part {
	switch media.Sniff(data[:min(len(data), 512)], media.Options{}) {
	case "WAV", "MP3", "FLAC", "Ogg", "M4A", "WebM/Matroska":
		return chat.Part{Type: "audio", Data: data}
	}
	return chat.Part{Type: "image", Data: data}
}
