package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gogemma/gemma4/hub"
	"github.com/gogemma/gemma4/internal/download"
)

// Hub returns the way to models by name, which tells on standard error what it fetches.
func (p *Program) Hub() *hub.Hub { return &hub.Hub{Progress: p.fetching()} }

// FindModel returns the model that a name means among those on this machine.
func (p *Program) FindModel(name string) (*hub.Model, error) {
	m, err := p.Hub().Find(context.Background(), name)
	if errors.Is(err, hub.ErrNotFound) {
		err = fmt.Errorf("%w; gemma4 pull %s fetches it", err, name)
	}
	return m, err
}

// Model returns the model that a name means, and fetches it if it is not on this machine.
func (p *Program) Model(name string, with hub.With) (*hub.Model, error) {
	m, err := p.Hub().Find(context.Background(), name)
	if !errors.Is(err, hub.ErrNotFound) {
		return m, err
	}
	return p.Pull(name, with)
}

// Pull fetches what a name means and is not on this machine. Ctrl-C leaves what has come, and so does whatever else ends a fetch, unless
// the bytes were wrong.
func (p *Program) Pull(name string, with hub.With) (*hub.Model, error) {
	ctx, stop := Interruptible()
	defer stop()
	h := p.Hub()
	begun, show := false, h.Progress
	h.Progress = func(m *hub.Model, done, total int64) {
		begun = true
		show(m, done, total)
	}
	m, err := h.Pull(ctx, name, with)
	const stays = "what has come stays: gemma4 pull %s goes on, gemma4 rm %[1]s removes it"
	var wrong *download.HashError
	switch {
	case err == nil:
	case ctx.Err() != nil:
		p.Note(fmt.Sprintf("interrupted; "+stays, name))
		err = ctx.Err()
	case begun && !errors.As(err, &wrong):
		p.Note(fmt.Sprintf(stays, name))
	}
	return m, err
}

// fetching returns a function that shows how far a fetch has come: where it begins what, from where and how much, then a line that changes
// at a terminal, and otherwise one for each tenth.
func (p *Program) fetching() func(m *hub.Model, done, total int64) {
	var rate rate
	tenth, begun := int64(0), false
	return func(m *hub.Model, done, total int64) {
		now := time.Now()
		if !begun {
			begun = true
			p.Note(fmt.Sprintf("fetching %s, %s, from %s", m.Name, Bytes(total), m.Source))
			return
		}
		speed := rate.at(now, done)
		text := fmt.Sprintf("%s of %s (%d%%)", Bytes(done), Bytes(total), 100*done/max(total, 1))
		if speed > 0 && done < total {
			text += fmt.Sprintf(", %s/s, %s left", Bytes(int64(speed)), left(time.Duration(float64(total-done)/speed*float64(time.Second))))
		}
		switch {
		case IsTerminal(p.Err) && done < total:
			p.Status(text)
		case IsTerminal(p.Err):
			p.EndStatus()
		case total > 0 && 10*done/total > tenth:
			tenth = 10 * done / total
			p.Note(text)
		}
	}
}

// rate is how fast bytes come, over the last seconds.
type rate struct{ seen []sample }

type sample struct {
	at   time.Time
	done int64
}

// at returns the bytes a second, 0 if that is not known yet.
func (r *rate) at(now time.Time, done int64) float64 {
	const span = 10 * time.Second
	if n := len(r.seen); n > 0 && done < r.seen[n-1].done { // a file starts anew
		r.seen = nil
	}
	r.seen = append(r.seen, sample{now, done})
	for len(r.seen) > 2 && now.Sub(r.seen[1].at) > span {
		r.seen = r.seen[1:]
	}
	first := r.seen[0]
	if seconds := now.Sub(first.at).Seconds(); seconds > 0 {
		return float64(done-first.done) / seconds
	}
	return 0
}

// left writes how long something takes, for people.
func left(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%.0f s", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%.0f min", d.Minutes())
	}
	return fmt.Sprintf("%.0f h %d min", float64(d/time.Hour), int(d.Minutes())%60)
}

// With reads what is to come along with a model: mmproj and draft, separated by commas.
func With(text string) (with hub.With, err error) {
	for word := range strings.SplitSeq(text, ",") {
		switch strings.TrimSpace(word) {
		case "mmproj":
			with.Projector = true
		case "draft":
			with.Drafter = true
		default:
			return with, errors.New("expected mmproj, draft or both, separated by a comma")
		}
	}
	return with, nil
}

// ShortNames are names of models that need no explanation, for completion.
func ShortNames() []string {
	h := hub.Hub{}
	names, _ := h.ShortNames() // a table that cannot be read is told of when it is used
	return slices.Sorted(maps.Keys(names))
}

// StoredNames are the names of the models in the store, for completion.
func StoredNames() (names []string) {
	h := hub.Hub{Caches: []hub.Cache{}}
	all, _ := h.List()
	for _, m := range all {
		names = append(names, m.Name)
	}
	return names
}

// ModelNames are what completion offers for a model: files and both kinds of names.
func ModelNames() Values {
	return Values{Files: "*.gguf", Names: func() []string { return append(ShortNames(), StoredNames()...) }}
}

// companions gives the loader those that are known for a model, unless others are given. Those that lie beside a model of another program
// the loader finds itself by their names, and leaves them if they do not fit; ollama's have none.
func (f *ModelFlags) companions(m *hub.Model) {
	known := func(path string) bool {
		return path != "" && (m.Place == "store" || filepath.Ext(path) != ".gguf" || filepath.Dir(path) != filepath.Dir(m.Files[0]))
	}
	if p := &f.Loader.Projector; p.Path == "" && known(m.Projector) {
		p.Path = m.Projector
	}
	if d := &f.Loader.Drafter; d.Path == "" && known(m.Drafter) && !f.Draft.Off && !f.Draft.Alone {
		d.Path = m.Drafter
	}
}
