package gemma4

import (
	"fmt"
	"time"
)

// SlotState is what a slot of a [Queue] does.
type SlotState int

const (
	SlotIdle    SlotState = iota // no request has it
	SlotPrefill                  // its request's prompt is read, or about to be
	SlotDecode                   // an answer is written
)

var slotStates = [...]string{"idle", "prefill", "decode"}

// String returns idle, prefill or decode.
func (s SlotState) String() string {
	if s < 0 || int(s) >= len(slotStates) {
		return fmt.Sprintf("SlotState(%d)", int(s))
	}
	return slotStates[s]
}

// Slot is what a slot of a [Queue] does at a moment. It says nothing of what anybody writes.
type Slot struct {
	ID        int // from 0
	State     SlotState
	Since     time.Time // when it was taken; zero if it is idle
	Context   int       // the most positions of prompt and answer together: of its request, or of any if it is idle
	Prompt    int       // positions of the prompt; in [Queue.Do] 0 until one is read
	Read      int       // of these, that are held already, because they were read or need not be
	Generated int       // tokens of the answer
	Adapted   string    // what Model.Adapted says of its request's adapters
}

// place is a slot of a queue, and who has it.
type place struct {
	t     *ticket   // nil: it is idle
	s     *Session  // nil: it has not begun
	since time.Time // when it was taken
}

// Slots returns what each slot does. It never waits for the model.
func (q *Queue) Slots() []Slot {
	q.mu.Lock()
	defer q.mu.Unlock()
	slots := make([]Slot, len(q.places))
	for i, p := range q.places {
		slot := Slot{ID: i, Context: q.options.Context}
		if p.t != nil {
			slot.State, slot.Since, slot.Context, slot.Prompt = SlotPrefill, p.since, p.t.Context, p.t.length
			slot.Adapted, _ = q.m.graph.Adapted(p.t.Adapters...) // Submit has looked
		}
		if p.s != nil {
			p.s.look(&slot)
		}
		slots[i] = slot
	}
	return slots
}

// look tells how far the session of a slot has come.
func (s *Session) look(slot *Slot) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.prompt > 0 {
		slot.Prompt = s.prompt
	}
	slot.Read, slot.Generated = min(len(s.ids), slot.Prompt), s.count
	if s.closed { // its request is about to give the slot back
		slot.Read = slot.Prompt
	}
	if slot.Read > 0 && slot.Read == slot.Prompt {
		slot.State = SlotDecode
	}
}
