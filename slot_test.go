package gemma4_test

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/gogemma/gemma4"
)

// TestSlotsTellWhatTheyDoWithoutWaitingForTheModel looks at slots from within callbacks, where the request cannot go on.
func TestSlotsTellWhatTheyDoWithoutWaitingForTheModel(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	q := newQueue(t, m, gemma4.QueueOptions{Slots: 3, Context: 500, Buffer: 1})
	idle := gemma4.Slot{Context: 500}
	look := func() []gemma4.Slot {
		t.Helper()
		slots := q.Slots()
		if len(slots) != 3 {
			t.Fatalf("%d slots, expected 3", len(slots))
		}
		for i, s := range slots {
			if s.ID != i || s.Since.IsZero() != (s.State == gemma4.SlotIdle) {
				t.Errorf("slot %d is %+v", i, s)
			}
		}
		return slots
	}
	for i, s := range look() {
		if s.ID -= i; s != idle {
			t.Errorf("a slot of a new queue is %+v", s)
		}
	}

	leave := occupy(t, q, 1) // slot 0
	since := look()[0].Since
	var reading, writing []gemma4.Slot
	r := asking("What is the capital of France? " + strings.Repeat("Think well. ", 20))
	r.Batch, r.MaxTokens = 16, 8
	r.Progress = func(int, int) { reading = append(reading, look()[1]) }
	r.Process = func([]int32, []float32) { writing = append(writing, look()[1]) }
	result := collect(t, q, r).Result
	if len(reading) < 3 || len(writing) != result.Generated && len(writing) != result.Generated+1 {
		t.Fatalf("%d looks while reading and %d while writing %d tokens", len(reading), len(writing), result.Generated)
	}
	for i, s := range reading {
		state := gemma4.SlotPrefill
		if i == len(reading)-1 {
			state = gemma4.SlotDecode
		}
		if s.State != state || s.Prompt != result.Prompt || s.Read < min(s.Prompt, 16*(i+1)) || s.Generated != 0 ||
			s.Context != s.Prompt+8 {
			t.Errorf("behind step %d of %d: %+v", i, len(reading), s)
		}
	}
	for i, s := range writing {
		if s.State != gemma4.SlotDecode || s.Prompt != result.Prompt || s.Read != s.Prompt || s.Generated != i {
			t.Errorf("before token %d: %+v", i, s)
		}
	}

	two := occupy(t, q, 2) // slots 1 and 2
	for i, s := range look() {
		if s.State != gemma4.SlotDecode || s.Read != s.Prompt || s.Prompt == 0 || i == 0 && (s.Since != since || s.Generated == 0) {
			t.Errorf("%+v", s)
		}
	}
	leave()
	if s := look(); s[0] != idle || s[1].State != gemma4.SlotDecode {
		t.Errorf("%+v, expected slot 0 to be idle alone", s)
	}
	if err := q.Do(ctx, gemma4.ChatOptions{}, func(ctx context.Context, c *gemma4.Chat) error {
		if s := look()[0]; s.State != gemma4.SlotPrefill || s.Prompt != 0 {
			t.Errorf("before anything is read: %+v", s)
		}
		_, err := c.Decide(ctx, []string{"yes", "no"}, user("Is it?"))
		if s := look()[0]; s.Prompt == 0 || s.Read != s.Prompt {
			t.Errorf("behind a decision: %+v", s)
		}
		return err
	}); err != nil {
		t.Error(err)
	}
	two()
	for i, s := range look() {
		if s.ID -= i; s != idle {
			t.Errorf("a slot that was given back is %+v", s)
		}
	}
}

func TestSlotsMayBeLookedAtAtAnyTime(t *testing.T) {
	q := newQueue(t, openNano(t, gemma4.Loader{}), gemma4.QueueOptions{Slots: 4})
	var answers sync.WaitGroup
	for i := range 12 {
		r := asking(small[i%len(small)][0])
		r.N = 1 + i%3
		pieces := submit(t, q, r)
		answers.Go(func() {
			for _, err := range pieces {
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	done := make(chan bool)
	go func() {
		answers.Wait()
		close(done)
	}()
	for over := false; !over; {
		select {
		case <-done:
			over = true
		default:
		}
		taken := 0
		for _, s := range q.Slots() {
			if s.Read > s.Prompt || s.Prompt+s.Generated > s.Context+1 || s.State == gemma4.SlotIdle && s.Prompt+s.Generated > 0 {
				t.Fatalf("%+v", s)
			}
			if s.State != gemma4.SlotIdle {
				taken++
			}
		}
		if over && taken > 0 {
			t.Errorf("%d slots are taken when all answers have come", taken)
		}
	}
}
