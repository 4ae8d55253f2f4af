package gemma4

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/gogemma/gemma4/chat"
	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/model"
)

// ErrOtherModel is wrapped by the error of a saved session that was made with another model.
var ErrOtherModel = model.ErrOtherModel

// What a saved session holds beside the text in the graph.
const (
	savedIDs          = "gemma4.session.ids"          // array of int32: ids, or −1 for embeddings
	savedConversation = "gemma4.session.conversation" // of a chat: JSON
	savedSystem       = "gemma4.session.system"       // of a chat: the instruction before it
	savedCalls        = "gemma4.session.calls"        // of a chat: tool calls numbered so far
	savedLogits       = "logits"                      // tensor [vocabulary], if they are known
)

// Save writes the session to a file, which [Model.Restore] reads. What stood at path is replaced in one step, when all of the session is
// on the disk: however the program or the machine ends, the file is the old one or the new one. Only the user may read it. It is about as
// large as CacheBytes.
func (s *Session) Save(path string) error { return s.save(path, new(gguf.Metadata)) }

func (s *Session) save(path string, head *gguf.Metadata) error {
	if err := s.begin(); err != nil {
		return err
	}
	defer s.end()
	if err := head.Set(savedIDs, s.ids); err != nil {
		return wrap(err)
	}
	var tensors []gguf.Source
	if len(s.logits) > 0 {
		data, _ := binary.Append(nil, binary.LittleEndian, s.logits)
		tensors = append(tensors, gguf.NewSource(savedLogits, gguf.F32, []int{len(s.logits)}, data))
	}
	text := s.graph.Snapshot()
	defer text.Release()
	err := replaceFile(path, func(w io.Writer) error { return s.m.graph.WriteSnapshot(w, text, head, tensors...) })
	if err != nil {
		return fmt.Errorf("gemma4: saving to %s: %w", path, err)
	}
	return nil
}

// Restore returns the session that was saved in a file: on the same kernels it goes on with the same bytes as the one that was saved.
// The file is verified and mapped (on Windows it is read), so that a long text is there at once. It must not be changed while the session
// is open; [Session.Save] to the same path, and replacing it by a rename, are fine.
//
// A file that is damaged, or no saved session, or of another model ([ErrOtherModel]) is an error, and so are options with another cache
// format or with a context that is too small. A saved [Chat] can be restored as the session that it is.
//
// A [PrefixCache] takes nothing of what was restored: it may be the work of other kernels, or have been written.
func (m *Model) Restore(path string, o SessionOptions) (*Session, error) {
	s, err := m.NewSession(o)
	if err != nil {
		return nil, err
	}
	if _, err := s.restore(path); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// restore fills an empty session from a file, whose keys it returns.
func (s *Session) restore(path string) (*gguf.Metadata, error) {
	if err := s.begin(); err != nil {
		return nil, err
	}
	defer s.end()
	text, head, err := s.m.graph.OpenSnapshot(path)
	if err != nil {
		return nil, wrap(err)
	}
	defer text.Release()
	wrong := func(format string, args ...any) error {
		return fmt.Errorf("gemma4: %s: %w", path, fmt.Errorf(format, args...))
	}
	value, _ := head.Metadata.Value(savedIDs)
	array, ok := value.(*gguf.Array)
	if n := text.Len(); ok && (array.Len() < n || array.Len() > n+1) { // one may just have been generated
		return nil, wrong("%s has %d elements, expected %d or one more", savedIDs, array.Len(), n)
	}
	ids, err := head.Metadata.Ints(savedIDs)
	if err != nil {
		return nil, wrong("%w", err)
	}
	for i, id := range ids {
		if id < embedded || id >= int64(s.m.graph.Vocabulary) || id == embedded && i >= text.Len() {
			return nil, wrong("%s has %d as element %d, which is outside the vocabulary of %d", savedIDs, id, i, s.m.graph.Vocabulary)
		}
	}
	var logits []float32
	if x := head.Tensor(savedLogits); x != nil {
		if x.Type != gguf.F32 || !slices.Equal(x.Dims, []int{s.m.graph.Vocabulary}) {
			return nil, wrong("the tensor %s is %v of shape %v, expected F32 of [%d]", savedLogits, x.Type, x.Dims, s.m.graph.Vocabulary)
		}
		data := make([]byte, x.Size)
		if _, err := x.ReadAt(data, 0); err != nil {
			return nil, wrong("%w", err)
		}
		logits = make([]float32, s.m.graph.Vocabulary)
		for i := range logits {
			logits[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:]))
		}
	}
	if _, err := s.graph.Adopt(text, text.Len()); err != nil {
		return nil, wrong("%w", err)
	}
	s.ids = make([]int32, len(ids))
	for i, id := range ids {
		s.ids[i] = int32(id)
	}
	s.logits = logits
	return head.Metadata, nil
}

// Save writes the conversation to a file, which [Model.RestoreChat] reads, as [Session.Save] does: Messages, System, Tools and Thinking,
// and what the model has read. The other options are not saved.
func (c *Chat) Save(path string) error {
	text, err := json.Marshal(chat.Conversation{Messages: c.Messages, Tools: c.Options.Tools, Thinking: c.Options.Thinking})
	if err != nil {
		return wrap(err)
	}
	head := new(gguf.Metadata)
	err = errors.Join(head.Set(savedConversation, string(text)), head.Set(savedSystem, c.Options.System), head.Set(savedCalls, uint32(c.calls)))
	if err != nil {
		return wrap(err)
	}
	return c.s.save(path, head)
}

// RestoreChat returns the conversation that was saved in a file, as [Model.Restore] does. System, Tools and Thinking are those of the
// file where o is silent; they may be changed in Options as ever. A saved session without a conversation is an error.
func (m *Model) RestoreChat(path string, o ChatOptions) (*Chat, error) {
	c, err := m.NewChat(o)
	if err != nil {
		return nil, err
	}
	if err := c.restore(path); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

func (c *Chat) restore(path string) error {
	head, err := c.s.restore(path)
	if err != nil {
		return err
	}
	text, err := head.Text(savedConversation)
	if errors.Is(err, gguf.ErrMissing) {
		return fmt.Errorf("gemma4: %s holds a session without a conversation: Restore opens it", path)
	}
	var saved chat.Conversation
	if err == nil {
		err = json.Unmarshal([]byte(text), &saved)
	}
	system, err2 := head.Text(savedSystem)
	calls, err3 := head.Int(savedCalls)
	if err3 == nil && (calls < 0 || calls > math.MaxInt32) {
		err3 = fmt.Errorf("%s is %d, expected 0 or more", savedCalls, calls)
	}
	if err := cmp.Or(err, err2, err3); err != nil {
		return fmt.Errorf("gemma4: %s: %w", path, err)
	}
	o := &c.Options
	o.System = cmp.Or(o.System, system)
	if o.Tools == nil {
		o.Tools = saved.Tools
	}
	o.Thinking = o.Thinking || saved.Thinking
	c.Messages, c.calls = saved.Messages, int(calls)
	return nil
}
