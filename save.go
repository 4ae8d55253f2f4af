package gemma4

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"

	"github.com/gogemma/gemma4/chat"
	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/grammar"
	"github.com/gogemma/gemma4/model"
)

// ErrOtherModel is wrapped by the error of a saved session that was made with another model.
var ErrOtherModel = model.ErrOtherModel

// What a saved session holds beside the text in the graph. A segment holds the ids after the positions that it keeps, and for a chat the
// messages after those that stay; the instruction and tools only if they have changed.
//
// The embedding identities, which the ids do not tell, are in two arrays of equal length, if there are any: in files without, embeddings
// are unknown. A program that makes other identities of the same pictures recognises none of them, and takes none for another.
const (
	savedNumber       = "gemma4.session.file"         // uint64: drawn for each file
	savedIDs          = "gemma4.session.ids"          // array of int32: ids, or −1 for embeddings
	savedEmbeddings   = "gemma4.session.embeddings"   // array of uint32: positions, from the file's or segment's first on, ascending
	savedIdentities   = "gemma4.session.identities"   // array of uint64: embedding identities there, the bits inverted: 1 to 2⁶³−1
	savedConversation = "gemma4.session.conversation" // of a chat: JSON
	savedSystem       = "gemma4.session.system"       // of a chat: the instruction before it
	savedCalls        = "gemma4.session.calls"        // of a chat: tool calls numbered so far
	savedMessages     = "gemma4.session.messages"     // of a chat's segment: how many of the messages before stay
	savedLogits       = "logits"                      // tensor [vocabulary], if they are known
)

// embedded stands for an embedding among ids, as in savedIDs.
const embedded = -1

// savedFile is a file that holds what its session held at some moment.
type savedFile struct {
	*model.Written
	info os.FileInfo // of the file as it was left or found
}

// Save writes the session to a file, which [Model.Restore] reads. What was at path is replaced atomically, when all of the session is on
// the disk: however the program or the machine ends, the file is the old one or the new one, and what is left of the attempt,
// PATH.NUMBER.part, is removed by a later Save to the same path. Only the user may read it. It is about as large as CacheBytes.
//
// The file holds the text as ids and embedding identities, keys, values and logits, and how far it can be taken back, for the model with
// these weights and this tokenizer ([Model.Fingerprint]); tokens that were rewound are not in it. A session restored on the same kernels
// continues with the same bytes. Sampling, statistics and options are not saved.
func (s *Session) Save(path string) error {
	if err := s.begin(); err != nil {
		return err
	}
	defer s.end()
	return s.save(path, new(gguf.Metadata))
}

// save is Save from within a call of the session.
func (s *Session) save(path string, head *gguf.Metadata) error {
	var written *model.Written
	info, err := replaceFile(path, func(w io.Writer, number uint64) error {
		first := new(gguf.Metadata)
		err := first.Set(savedNumber, number)
		for _, key := range head.Keys() {
			v, _ := head.Value(key)
			err = cmp.Or(err, first.Set(key, v))
		}
		if err == nil {
			written, err = s.writeTo(w, first)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("gemma4: saving to %s: %w", path, err)
	}
	s.seq.Keep()
	s.saved = &savedFile{written, info}
	s.m.log.Debug("session file replaced", "file", path, "bytes", written.Bytes, "positions", len(s.ids))
	return nil
}

// SaveTo writes to w what [Session.Save] writes to a file; [Model.RestoreFrom] reads it. It ends with a checksum, by which a file that was
// cut short is recognised. w gets pieces of a few megabytes.
func (s *Session) SaveTo(w io.Writer) error {
	if err := s.begin(); err != nil {
		return err
	}
	defer s.end()
	_, err := s.writeTo(w, new(gguf.Metadata))
	return wrap(err)
}

// writeTo writes the whole session.
func (s *Session) writeTo(w io.Writer, head *gguf.Metadata) (*model.Written, error) {
	if err := s.reread(s.m.ending); err != nil {
		return nil, err
	}
	tensors, err := s.describe(head, 0)
	if err != nil {
		return nil, err
	}
	text := s.seq.Snapshot()
	defer text.Release()
	return s.m.graph.WriteSnapshot(context.Background(), w, text, head, tensors...)
}

// describe puts what is known of the text from a position on into a head, and returns the tensors that belong to it.
func (s *Session) describe(head *gguf.Metadata, from int) (tensors []gguf.Source, err error) {
	var ids []int32
	var at []uint32
	var identities []uint64
	for i, x := range s.ids[from:] {
		id := idOf(x)
		if id == embedded && x != model.Unknown {
			at, identities = append(at, uint32(from+i)), append(identities, uint64(^x))
		}
		ids = append(ids, id)
	}
	err = head.Set(savedIDs, ids)
	if len(at) > 0 {
		err = cmp.Or(err, head.Set(savedEmbeddings, at), head.Set(savedIdentities, identities))
	}
	if err != nil {
		return nil, err
	}
	if err := s.fillLogits(); err != nil {
		return nil, err
	}
	if len(s.logits) > 0 && s.only == nil {
		data, _ := binary.Append(nil, binary.LittleEndian, s.logits)
		tensors = append(tensors, gguf.NewSource(savedLogits, gguf.F32, []int{len(s.logits)}, data))
	}
	return tensors, nil
}

// Update brings a file up to date that the session was saved to or restored from: it appends what the session has added since, or has taken
// back and added, and costs the same however long the text before that is. When it returns without an error the text is on the disk. If the
// program or the machine ends before that, [Model.Restore] finds the text of the previous call; so it does if the last thing appended is
// damaged in another way. What has been superseded stays in the file until Save. Update becomes a Save when that is more than the session,
// and every 1000th time.
//
// It is also a [Session.Save] where the file is not the one that this session has left or found there, byte for byte: if there is none,
// another one has taken its place, another session or program has written to it, or it is of an older version. Programs that update one
// file at the same time do not damage it; the text of the last one stays.
func (s *Session) Update(path string) error {
	if err := s.begin(); err != nil {
		return err
	}
	defer s.end()
	if ok, err := s.update(path, new(gguf.Metadata)); ok || err != nil {
		return err
	}
	return s.save(path, new(gguf.Metadata))
}

// spare is how many bytes a file may hold beside the session before it is merged, however short the session is.
const spare = 1 << 20

// update appends a segment to the file, and reports whether it could: otherwise the session has to be saved as a whole.
func (s *Session) update(path string, head *gguf.Metadata) (ok bool, err error) {
	if s.saved == nil {
		return false, nil
	}
	text := s.seq.Snapshot()
	defer text.Release()
	if s.saved.Segments == model.MaxSegments || s.saved.Bytes > 2*(text.Bytes()+int64(4*(len(s.ids)+s.m.graph.Vocabulary)))+spare {
		return false, nil
	}
	f, err := s.saved.open(path)
	if f == nil {
		return false, err
	}
	defer f.Close()
	before := s.saved
	s.saved = nil // from here on the file may be anything
	kept := s.seq.Kept()
	tensors, err := s.describe(head, kept)
	if err != nil {
		return false, wrap(err)
	}
	written, err := s.m.graph.WriteSegment(f, text, before.Written, kept, head, tensors...)
	if err == nil {
		err = f.Sync()
	}
	if err != nil {
		f.Truncate(before.Bytes) // what cannot be taken back is recognised as torn
		return false, fmt.Errorf("gemma4: updating %s: %w", path, err)
	}
	after := &savedFile{Written: written}
	if after.info, err = f.Stat(); err != nil {
		return false, fmt.Errorf("gemma4: updating %s: %w", path, err)
	}
	if there, err := os.Stat(path); err != nil || !os.SameFile(there, after.info) || after.info.Size() != written.Bytes {
		return false, nil // somebody else has written or replaced it meanwhile
	}
	s.seq.Keep()
	s.saved = after
	s.m.log.Debug("session file updated", "file", path, "bytes", written.Bytes, "positions", len(s.ids))
	return true, nil
}

// open opens the file at path for appending if it is still the one that is remembered; otherwise it returns nil.
func (b *savedFile) open(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND, 0)
	if err != nil {
		return nil, nil // Save says what is wrong, if anything is
	}
	var sum [4]byte
	info, err := f.Stat()
	if err == nil && os.SameFile(info, b.info) && info.Size() == b.Bytes && info.ModTime().Equal(b.info.ModTime()) {
		if _, err = f.ReadAt(sum[:], b.Bytes-int64(len(sum))); err == nil && binary.LittleEndian.Uint32(sum[:]) == b.Sum {
			return f, nil
		}
	}
	f.Close()
	return nil, nil
}

// Fingerprint returns what the files of saved sessions know the model by: a digest of its shape, tokenizer and weights. Of large tensors it
// covers samples of 4 KB, evenly spread: up to 256 MB of the token embeddings, and 64 MB of all others together, at least 16 samples from
// each. So another training, quantisation or vocabulary is another model; a single changed row of a large matrix may go unseen. Names,
// advice on sampling and chat templates are not covered.
//
// The first call reads that much of the file, and so does the first Save or Restore without one before; ctx can end it, an error is not
// remembered, and closing the model ends a Restore that waits for it.
func (m *Model) Fingerprint(ctx context.Context) (string, error) {
	if err := m.enter(); err != nil {
		return "", err
	}
	defer m.leave()
	s, err := m.graph.Fingerprint(ctx)
	return s, wrap(err)
}

// Restore returns the session that was saved in a file: on the same kernels it continues with the same bytes as the one that was saved. The
// file is verified and mapped (on Windows it is read), so that a long text is there at once. It must not be changed while the session is
// open; [Session.Save] and [Session.Update] to the same path, and replacing it by a rename, are fine.
//
// A file that is damaged, not a saved session, or of another model ([ErrOtherModel]) is an error, and so are options with another cache
// format, with other Adapters ([ErrOtherAdapters]) or with a context that is too small. What an Update has not finished is left out. Files
// of earlier versions are read, and checked by the weaker fingerprint that they have. A saved [Chat] can be restored as a session, which it
// also is.
//
// A [PrefixCache] takes nothing of what was restored: it may be the work of other kernels, or have been written. Embeddings are recognised
// by their Input.ID; what those without one were, or those in files of earlier versions, nobody knows.
func (m *Model) Restore(path string, o SessionOptions) (*Session, error) {
	return m.restore(o, func(s *Session) error { _, err := s.restore(path, nil); return err })
}

// RestoreFrom is [Model.Restore] of what [Session.SaveTo] has written, or of a file's bytes. It reads r to its end before it verifies
// anything and keeps in memory what it has read: bound an r that cannot be trusted with an [io.LimitReader].
func (m *Model) RestoreFrom(r io.Reader, o SessionOptions) (*Session, error) {
	return m.restore(o, func(s *Session) error { _, err := s.restore("", r); return err })
}

func (m *Model) restore(o SessionOptions, fill func(*Session) error) (*Session, error) {
	s, err := m.NewSession(o)
	if err != nil {
		return nil, err
	}
	if err := fill(s); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// restore fills an empty session from the file at path, or from r if there is one. It returns the heads of the file and its segments.
func (s *Session) restore(path string, r io.Reader) ([]*gguf.File, error) {
	if err := s.begin(); err != nil {
		return nil, err
	}
	defer s.end()
	ctx := s.m.ending
	var text *model.SavedText
	var err error
	if r != nil {
		path = "reader"
		text, err = s.m.graph.ReadSnapshot(ctx, r)
	} else {
		text, err = s.m.graph.OpenSnapshot(ctx, path)
	}
	if err != nil {
		if ctx.Err() != nil {
			err = ErrClosed
		}
		return nil, wrapFile(path, err)
	}
	defer text.Release()
	var ids []identity
	for i, head := range text.Heads {
		if ids, err = s.restoreIDs(ids, head, i > 0); err != nil {
			return nil, wrapFile(path, err)
		}
	}
	logits, err := s.restoreLogits(text.Heads[len(text.Heads)-1])
	if err != nil {
		return nil, wrapFile(path, err)
	}
	if _, err := s.seq.Adopt(text.Snapshot, text.Len()); err != nil {
		return nil, wrapFile(path, err)
	}
	s.commit(ids, logits, nil, nil)
	if text.Info != nil && text.Written != nil {
		s.seq.Keep()
		s.saved = &savedFile{text.Written, text.Info}
	}
	return text.Heads, nil
}

// wrapFile names the file in an error that does not, and the package.
func wrapFile(path string, err error) error {
	if errors.Is(err, ErrClosed) {
		return err
	}
	if !strings.Contains(err.Error(), path+": ") {
		err = fmt.Errorf("%s: %w", path, err)
	}
	return fmt.Errorf("gemma4: %w", err)
}

// restoreIDs returns the text after a file, or after a segment that continues the one before.
func (s *Session) restoreIDs(ids []identity, head *gguf.File, segment bool) ([]identity, error) {
	positions, err := head.Metadata.Int("gemma4.session.positions") // the graph has checked these two
	kept := int64(0)
	if err == nil && segment {
		kept, err = head.Metadata.Int("gemma4.session.kept")
	}
	if err != nil {
		return nil, err
	}
	n := int(positions - kept)
	if have, ok := arrayLen(head, savedIDs); ok && (have < n || have > n+forcedStep) { // the graph may lack the last
		return nil, fmt.Errorf("%s has %d elements, expected %d to %d", savedIDs, have, n, n+forcedStep)
	}
	list, err := head.Metadata.Ints(savedIDs)
	if err != nil {
		return nil, err
	}
	ids = slices.Grow(ids[:kept], len(list))
	for i, id := range list {
		if id < embedded || id >= int64(s.m.graph.Vocabulary) || id == embedded && len(ids) >= int(positions) {
			return nil, fmt.Errorf("%s has %d as element %d, which is outside the vocabulary of %d", savedIDs, id, i, s.m.graph.Vocabulary)
		}
		ids = append(ids, identity(id))
	}
	return ids, restoreIdentities(ids, int(kept), head)
}

// restoreIdentities gives the embeddings of a text from a position on the identities that a file, or a segment, has for them.
func restoreIdentities(ids []identity, from int, head *gguf.File) error {
	if !head.Metadata.Has(savedEmbeddings) && !head.Metadata.Has(savedIdentities) {
		return nil
	}
	read := func(key string) ([]int64, error) {
		if n, _ := arrayLen(head, key); n > len(ids)-from {
			return nil, fmt.Errorf("%s has %d elements, expected at most %d", key, n, len(ids)-from)
		}
		return head.Metadata.Ints(key)
	}
	at, err := read(savedEmbeddings)
	if err != nil {
		return err
	}
	list, err := read(savedIdentities)
	if err != nil {
		return err
	}
	if len(list) != len(at) {
		return fmt.Errorf("%s has %d elements, expected %d as %s has", savedIdentities, len(list), len(at), savedEmbeddings)
	}
	for i, pos := range at {
		if pos < int64(from) || pos >= int64(len(ids)) || i > 0 && pos <= at[i-1] || ids[pos] != embedded {
			return fmt.Errorf("%s has %d as element %d, expected ascending positions, from %d on, where %s has −1",
				savedEmbeddings, pos, i, from, savedIDs)
		}
		if list[i] < 1 {
			return fmt.Errorf("%s has %d as element %d, expected 1 to 2⁶³−1", savedIdentities, list[i], i)
		}
		ids[pos] = ^identity(list[i])
	}
	return nil
}

// arrayLen returns the length of an array, before it is decoded.
func arrayLen(head *gguf.File, key string) (n int, ok bool) {
	v, _ := head.Metadata.Value(key)
	a, ok := v.(*gguf.Array)
	if !ok {
		return 0, false
	}
	return a.Len(), true
}

// restoreLogits returns the logits of a file's or segment's text, nil if they are not known.
func (s *Session) restoreLogits(head *gguf.File) ([]float32, error) {
	x := head.Tensor(savedLogits)
	if x == nil {
		return nil, nil
	}
	if x.Type != gguf.F32 || !slices.Equal(x.Dims, []int{s.m.graph.Vocabulary}) {
		return nil, fmt.Errorf("the tensor %s is %v of shape %v, expected F32 of [%d]", savedLogits, x.Type, x.Dims, s.m.graph.Vocabulary)
	}
	data := make([]byte, x.Size)
	if _, err := x.ReadAt(data, 0); err != nil {
		return nil, err
	}
	logits := make([]float32, s.m.graph.Vocabulary)
	for i := range logits {
		logits[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:]))
	}
	return logits, nil
}

// savedChat is what a session's file holds of a conversation.
type savedChat struct {
	file     *savedFile
	options  [sha256.Size]byte
	messages [][sha256.Size]byte
}

// Save writes the conversation to a file, which [Model.RestoreChat] reads, as [Session.Save] does: Messages, System, Tools and Thinking,
// and what the model has read. The other options are not saved.
func (c *Chat) Save(path string) error {
	if err := c.s.begin(); err != nil {
		return err
	}
	defer c.s.end()
	return c.save(path, true)
}

// Update brings a file up to date as [Session.Update] does, with the messages that are new or have changed.
func (c *Chat) Update(path string) error {
	if err := c.s.begin(); err != nil {
		return err
	}
	defer c.s.end()
	return c.save(path, false)
}

// SaveTo writes to w what [Chat.Save] writes to a file; [Model.RestoreChatFrom] reads it.
func (c *Chat) SaveTo(w io.Writer) error {
	if err := c.s.begin(); err != nil {
		return err
	}
	defer c.s.end()
	now, err := c.fingerprints()
	if err != nil {
		return wrap(err)
	}
	head, err := c.describe(now, savedChat{})
	if err != nil {
		return wrap(err)
	}
	_, err = c.s.writeTo(w, head)
	return wrap(err)
}

// save writes the conversation to a file, all of it if it must or is told to.
func (c *Chat) save(path string, whole bool) error {
	now, err := c.fingerprints()
	if err != nil {
		return wrap(err)
	}
	done := false
	if !whole && c.saved.file != nil && c.saved.file == c.s.saved {
		head, err := c.describe(now, c.saved)
		if err != nil {
			return wrap(err)
		}
		if done, err = c.s.update(path, head); err != nil {
			return err
		}
	}
	if !done {
		head, err := c.describe(now, savedChat{})
		if err != nil {
			return wrap(err)
		}
		if err := c.s.save(path, head); err != nil {
			return err
		}
	}
	now.file = c.s.saved
	c.saved = now
	return nil
}

// fingerprints returns what tells the conversation from others.
func (c *Chat) fingerprints() (f savedChat, err error) {
	digest := func(v any) (sum [sha256.Size]byte) {
		b, e := json.Marshal(v)
		err = cmp.Or(err, e)
		return sha256.Sum256(b)
	}
	f.options = digest([]any{c.Options.System, c.Options.Tools, c.Options.Thinking})
	for _, m := range c.Messages {
		f.messages = append(f.messages, digest(m))
	}
	return f, err
}

// describe returns the keys of the conversation as it is now, without what the file already holds.
func (c *Chat) describe(now, before savedChat) (*gguf.Metadata, error) {
	kept := 0
	for kept < min(len(now.messages), len(before.messages)) && now.messages[kept] == before.messages[kept] {
		kept++
	}
	conversation := chat.Conversation{Messages: c.Messages[kept:]}
	head := new(gguf.Metadata)
	if before.file != nil {
		if err := head.Set(savedMessages, uint32(kept)); err != nil {
			return nil, err
		}
	}
	if before.file == nil || now.options != before.options {
		conversation.Tools, conversation.Thinking = c.Options.Tools, c.Options.Thinking
		if err := head.Set(savedSystem, c.Options.System); err != nil {
			return nil, err
		}
	}
	text, err := json.Marshal(conversation)
	if err != nil {
		return nil, err
	}
	return head, errors.Join(head.Set(savedConversation, string(text)), head.Set(savedCalls, uint32(c.calls)))
}

// RestoreChat returns the conversation that was saved in a file, as [Model.Restore] does. System, Tools and Thinking are those of the file
// where o is silent, or those of o if o.Override says so; they may be changed in Options as always. Functions of tools are in no file:
// Tools with them come from o. A saved session without a conversation is an error.
func (m *Model) RestoreChat(path string, o ChatOptions) (*Chat, error) {
	return m.restoreChat(path, nil, o)
}

// RestoreChatFrom is [Model.RestoreChat] of what [Chat.SaveTo] has written, as [Model.RestoreFrom] is of a session.
func (m *Model) RestoreChatFrom(r io.Reader, o ChatOptions) (*Chat, error) {
	return m.restoreChat("reader", r, o)
}

func (m *Model) restoreChat(path string, r io.Reader, o ChatOptions) (*Chat, error) {
	calls := o.Calls
	o.Calls = grammar.CallOptions{} // for tools that may be in the file
	c, err := m.NewChat(o)
	if err != nil {
		return nil, err
	}
	heads, err := c.s.restore(path, r)
	if err == nil {
		if err = c.restore(heads); err != nil {
			err = wrapFile(path, err)
		}
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	c.Options.Calls = calls
	return c, nil
}

// restore takes the conversation from the heads of a file and its segments.
func (c *Chat) restore(heads []*gguf.File) (err error) {
	var file ChatOptions // what it says of options
	for i, head := range heads {
		text, err := head.Metadata.Text(savedConversation)
		if errors.Is(err, gguf.ErrMissing) {
			if i == 0 {
				return errors.New("holds a session without a conversation: Restore opens it")
			}
			continue // the session was updated by itself
		}
		var saved chat.Conversation
		if err == nil {
			err = json.Unmarshal([]byte(text), &saved)
		}
		if err != nil {
			return err
		}
		kept := int64(0)
		if i > 0 {
			if kept, err = head.Metadata.Int(savedMessages); err != nil {
				return err
			}
		}
		if kept < 0 || kept > int64(len(c.Messages)) {
			return fmt.Errorf("%s is %d, expected 0 to %d", savedMessages, kept, len(c.Messages))
		}
		c.Messages = append(c.Messages[:kept], saved.Messages...)
		if system, err := head.Metadata.Text(savedSystem); err == nil {
			file.System, file.Tools, file.Thinking = system, saved.Tools, saved.Thinking
		} else if i == 0 || !errors.Is(err, gguf.ErrMissing) {
			return err
		}
		calls, err := head.Metadata.Int(savedCalls)
		if err == nil && (calls < 0 || calls > math.MaxInt32) {
			err = fmt.Errorf("%s is %d, expected 0 or more", savedCalls, calls)
		}
		if err != nil {
			return err
		}
		c.calls = int(calls)
	}
	now, o := c.Options, &c.Options
	o.System, o.Tools, o.Thinking = file.System, file.Tools, file.Thinking
	if c.saved, err = c.fingerprints(); err != nil {
		return err
	}
	c.saved.file = c.s.saved
	if now.Override {
		*o = now
		return nil
	}
	o.System = cmp.Or(now.System, o.System)
	if now.Tools != nil {
		o.Tools = now.Tools
	}
	o.Thinking = o.Thinking || now.Thinking
	return nil
}
