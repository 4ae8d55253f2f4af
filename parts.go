package gemma4

import (
	"cmp"
	"errors"
	"fmt"
	"image"
	"slices"
	"strings"
	"time"

	"github.com/gogemma/gemma4/chat"
)

// What the chat template writes where a part of a message is a picture, a sound or a video, and what the model reads there: a marker before
// and one behind as many placeholders as there are embeddings, which take their places.
const (
	imagePlace, audioPlace, videoPlace         = "<|image|>", "<|audio|>", "<|video|>"
	imageOpen, imageClose, audioOpen, audioEnd = "<|image>", "<image|>", "<|audio>", "<audio|>"
)

// senseMarkup is what no model writes: it stands for what people show and say.
var senseMarkup = []string{imagePlace, audioPlace, videoPlace, imageOpen, imageClose, audioOpen, audioEnd}

// medium is a part of a conversation that is no text: a picture, a sound or a video.
type medium struct {
	place  string // what the template writes there
	text   string // what the model reads there, each placeholder once
	inputs []Input
}

// prepared returns messages whose pictures are as the model sees them, so that they are resized once, and whose other parts make sense to
// it. Messages that have none are returned as they are. Where places are enough, media need not be there. Pictures that have more tokens
// together than limit are an error before one is resized: each may grow to megabytes, however small it is.
func (m *Model) prepared(messages []chat.Message, places bool, limit int) ([]chat.Message, error) {
	if n := m.pictured(messages); n > limit {
		return nil, wrap(&ContextError{Need: n, Limit: limit})
	}
	own := false
	for i, msg := range messages {
		if !slices.ContainsFunc(msg.Parts, func(p chat.Part) bool { return p.Type != "text" }) {
			continue
		}
		parts := slices.Clone(msg.Parts)
		for j := range parts {
			if p := &parts[j]; places && p.Image == nil && p.Frames == nil && p.Samples == nil {
				continue
			}
			if err := m.prepare(&parts[j]); err != nil {
				return nil, fmt.Errorf("gemma4: message %d, part %d: %w", i, j, err)
			}
		}
		if !own {
			messages, own = slices.Clone(messages), true
		}
		messages[i].Parts = parts
	}
	return messages, nil
}

// pictured returns how many tokens the pictures of messages have together, but for those that are none.
func (m *Model) pictured(messages []chat.Message) (all int) {
	s, err := m.eyes()
	if err != nil {
		return 0
	}
	count := func(img image.Image, budget chat.Budget) {
		if _, _, n, err := s.size(img, budget); err == nil {
			all += n
		}
	}
	for _, msg := range messages {
		for _, p := range msg.Parts {
			if p.Image != nil {
				count(p.Image, p.Wanted())
			}
			for _, f := range p.Frames {
				count(f.Image, cmp.Or(p.Wanted(), s.frames()))
			}
		}
	}
	return all
}

// prepare makes a part's pictures what the model sees.
func (m *Model) prepare(p *chat.Part) error {
	budget := p.Wanted()
	switch {
	case p.Image != nil:
		s, err := m.eyes()
		if err != nil {
			return err
		}
		p.Image, err = s.picture(p.Image, budget)
		return err
	case p.Frames != nil:
		s, err := m.eyes()
		if err != nil {
			return err
		}
		if len(p.Frames) == 0 {
			return errors.New("a video without frames")
		}
		budget = cmp.Or(budget, s.frames())
		p.Frames = slices.Clone(p.Frames)
		for i := range p.Frames {
			if p.Frames[i].Image == nil {
				return fmt.Errorf("frame %d has no image", i)
			}
			picture, err := s.picture(p.Frames[i].Image, budget)
			if err != nil {
				return fmt.Errorf("frame %d: %w", i, err)
			}
			p.Frames[i].Image = picture
		}
		return nil
	case p.Samples != nil:
		_, err := m.ears()
		return err
	case p.Type == "text":
		return nil
	case p.URL != "" || p.Data != nil:
		return fmt.Errorf("the %s is not there, only where it is or the bytes of a file: package media/fetch gets it", p.Type)
	}
	return fmt.Errorf("a part of type %q that has nothing", p.Type)
}

// media returns those of prepared messages, in the order in which they stand.
func (m *Model) media(messages []chat.Message) (all []medium, err error) {
	for i, msg := range messages {
		for j, p := range msg.Parts {
			if p.Type == "text" {
				continue
			}
			x, err := m.medium(p)
			if err != nil {
				return nil, fmt.Errorf("gemma4: message %d, part %d: %w", i, j, err)
			}
			all = append(all, x)
		}
	}
	return all, nil
}

func (m *Model) medium(p chat.Part) (x medium, err error) {
	switch {
	case p.Image != nil:
		return medium{imagePlace, imageOpen + imagePlace + imageClose, []Input{p.Image.(*Picture).Input()}}, nil
	case p.Frames != nil:
		x.place = videoPlace
		for i, f := range p.Frames {
			if i > 0 {
				x.text += " "
			}
			x.text += clock(f.Time) + " " + imageOpen + videoPlace + imageClose
			x.inputs = append(x.inputs, f.Image.(*Picture).Input())
		}
		return x, nil
	case p.Samples == nil:
		place := "<|" + p.Type + "|>"
		return medium{place: place, text: place}, nil
	}
	s, err := m.ears()
	if err != nil {
		return x, err
	}
	pieces, err := s.sounds(p.Samples)
	x.place = audioPlace
	for _, piece := range pieces {
		x.text += audioOpen + audioPlace + audioEnd
		x.inputs = append(x.inputs, piece.input())
	}
	return x, err
}

// clock writes the time of a frame as the models know it: minutes and seconds.
func clock(t time.Duration) string {
	seconds := int(t.Seconds())
	return fmt.Sprintf("%02d:%02d", seconds/60, seconds%60)
}

// placed returns a prompt in which the places of media have become what the model reads there.
func placed(p chat.Prompt, all []medium) (chat.Prompt, error) {
	out := chat.Prompt{}
	var text strings.Builder
	at, from, left := 0, 0, p.Literal
	copyTo := func(to int) {
		for ; len(left) > 0 && left[0] < to; left = left[1:] {
			out.Literal = append(out.Literal, left[0]-from+text.Len())
		}
		if p.Answer >= from && p.Answer < to {
			out.Answer = p.Answer - from + text.Len()
		}
		text.WriteString(p.Text[from:to])
	}
	found := 0
	for {
		i := strings.Index(p.Text[at:], "<|")
		if i < 0 {
			break
		}
		at += i
		place := placeAt(p.Text[at:])
		if _, literal := slices.BinarySearch(p.Literal, at); place == "" || literal {
			at++
			continue
		}
		if found == len(all) || all[found].place != place {
			break
		}
		copyTo(at)
		text.WriteString(all[found].text)
		found++
		at += len(place)
		from = at
	}
	switch stray := placeAt(p.Text[at:]); {
	case found < len(all) && stray != "":
		return p, fmt.Errorf("gemma4: the chat template writes %s where the conversation has what belongs to %s", stray, all[found].place)
	case found < len(all):
		return p, fmt.Errorf("gemma4: the chat template leaves out %d of the conversation's %d pictures, sounds and videos", len(all)-found,
			len(all))
	case stray != "":
		return p, fmt.Errorf("gemma4: the chat template writes %s, for which the conversation has nothing", stray)
	}
	copyTo(len(p.Text))
	if out.Text = text.String(); p.Answer == len(p.Text) {
		out.Answer = len(out.Text)
	}
	return out, nil
}

// placeAt returns the place that a text begins with, if any.
func placeAt(text string) string {
	for _, place := range []string{imagePlace, audioPlace, videoPlace} {
		if strings.HasPrefix(text, place) {
			return place
		}
	}
	return ""
}

// words is a conversation as tokens, and what takes the places of those that stand for something else.
type words struct {
	ids  []int32 // a placeholder for each embedding
	soft []Input // in their order
}

// spread returns tokens with a placeholder for each embedding, where there is one for each input.
func (m *Model) spread(ids []int32, all []medium) words {
	w := words{ids: ids}
	for _, x := range all {
		w.soft = append(w.soft, x.inputs...)
	}
	if len(w.soft) == 0 {
		return w
	}
	var takes []int // what each place becomes, also that of what is not there
	for _, x := range all {
		for _, in := range x.inputs {
			takes = append(takes, m.graph.Positions(in))
		}
		if len(x.inputs) == 0 {
			takes = append(takes, 1)
		}
	}
	w.ids = make([]int32, 0, len(ids)+m.graph.Positions(w.soft...))
	for _, id := range ids {
		n := 1
		if m.places[id] && len(takes) > 0 {
			n, takes = takes[0], takes[1:]
		}
		for range n {
			w.ids = append(w.ids, id)
		}
	}
	return w
}

// inputs returns the first n positions as what a session reads.
func (m *Model) inputs(w words, n int) (in []Input) {
	ids, soft := w.ids[:n], w.soft
	begin := 0
	for i := 0; i < len(ids); {
		if len(soft) == 0 || !m.places[ids[i]] {
			i++
			continue
		}
		if i > begin {
			in = append(in, Input{Tokens: ids[begin:i]})
		}
		in = append(in, soft[0])
		i += m.graph.Positions(soft[0])
		begin, soft = i, soft[1:]
	}
	if begin < len(ids) {
		in = append(in, Input{Tokens: ids[begin:]})
	}
	return in
}
