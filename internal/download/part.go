package download

import (
	"cmp"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/gogemma/gemma4/internal/machine"
)

// part is a file that grows. It is held by one call, with a lock, from openPart to close, keep or discard.
type part struct {
	file    *File
	bytes   *os.File // PATH.part
	record  *os.File // PATH.part.ranges
	release func()   // of the lock on record
	every   int64    // bytes after which the state is written, at most; a second after the last time it is anyhow
	tally   *tally

	mu      sync.Mutex
	moved   sync.Cond // state, size or times have changed, or nothing comes any more
	state   state
	old     bool  // bytes of an earlier call are among those that are there
	times   int   // that bytes have been forgotten
	ended   bool  // nothing comes any more
	unsaved int64 // bytes

	saving sync.Mutex
	number uint64    // of the last writing of the state
	saved  time.Time // when it was
}

func partPath(path string) string   { return path + ".part" }
func recordPath(path string) string { return path + ".part.ranges" }

// openPart opens the part of f, with what an earlier call has left if that is of the same file.
func openPart(f *File, every int64, t *tally) (*part, error) {
	record, release, err := lock(recordPath(f.Path))
	if err != nil {
		return nil, err
	}
	p := &part{file: f, record: record, release: release, every: every, tally: t, saved: time.Now()}
	p.moved.L = &p.mu
	if p.bytes, err = os.OpenFile(partPath(f.Path), os.O_RDWR|os.O_CREATE, 0o666); err != nil {
		release()
		return nil, err
	}
	info, err := p.bytes.Stat()
	if err != nil {
		return nil, cmp.Or(p.close(), err)
	}
	earlier, number, ok := decodeState(record)
	p.number = number
	if ok && earlier.usable(f) {
		p.state = earlier
		p.state.have = p.state.have.below(info.Size())
		p.old = len(p.state.have) > 0
		t.set(p.state.have.bytes(), p.state.size)
		return p, nil
	}
	if err := p.anew(); err != nil {
		return nil, errors.Join(err, p.close())
	}
	return p, nil
}

// usable reports whether bytes with that state may be those of f.
func (s *state) usable(f *File) bool {
	return s.identity == f.identity() && (f.Size < 0 || s.size == f.Size) && (len(f.sums()) > 0 || s.etag != "")
}

// held returns how many bytes of f an earlier call has left.
func held(f *File) int64 {
	record, err := os.Open(recordPath(f.Path))
	if err != nil {
		return 0
	}
	defer record.Close()
	info, err := os.Stat(partPath(f.Path))
	s, _, ok := decodeState(record)
	if err != nil || !ok || !s.usable(f) {
		return 0
	}
	return s.have.below(info.Size()).bytes()
}

// anew forgets all that has come.
func (p *part) anew() error {
	p.mu.Lock()
	p.state = state{identity: p.file.identity(), size: max(p.file.Size, -1)}
	p.old, p.unsaved = false, 0
	p.times++
	p.tally.set(0, p.state.size)
	p.moved.Broadcast()
	p.mu.Unlock()
	for range slots { // none tells of what was; before the bytes go
		if err := p.save(); err != nil {
			return err
		}
	}
	return p.bytes.Truncate(0)
}

// learn notes what an answer has told about the file: its size, unless that is below 0, and its ETag, unless that is empty.
func (p *part) learn(size int64, etag string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if size >= 0 {
		p.state.size = size
	}
	if etag != "" {
		p.state.etag = etag
	}
	p.tally.set(p.state.have.bytes(), p.state.size)
	p.moved.Broadcast()
}

// write puts data where c begins, which then begins behind it.
func (p *part) write(c *claim, data []byte) error {
	n, err := p.bytes.WriteAt(data, c.from)
	p.mu.Lock()
	p.state.have = p.state.have.add(span{c.from, c.from + int64(n)})
	c.from += int64(n)
	p.unsaved += int64(n)
	p.tally.set(p.state.have.bytes(), p.state.size)
	due := p.unsaved >= p.every
	p.moved.Broadcast()
	p.mu.Unlock()
	if err != nil {
		return err
	}
	if due || p.saveDue() {
		return p.save()
	}
	return nil
}

// drop forgets the bytes from begin to where c begins, which then begins there.
func (p *part) drop(c *claim, begin int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state.have = p.state.have.without(span{begin, c.from})
	c.from = begin
	p.times++
	p.tally.set(p.state.have.bytes(), p.state.size)
	p.moved.Broadcast()
}

// saveDue reports whether the state was written a second ago.
func (p *part) saveDue() bool {
	if !p.saving.TryLock() {
		return false // it is being written
	}
	defer p.saving.Unlock()
	return time.Since(p.saved) >= time.Second
}

// save writes the state, when what it tells is on the disk.
func (p *part) save() error {
	p.saving.Lock()
	defer p.saving.Unlock()
	p.mu.Lock()
	s := p.state.clone()
	p.unsaved = 0
	p.mu.Unlock()
	if err := machine.Sync(p.bytes); err != nil {
		return err
	}
	number := p.number + 1
	if _, err := p.record.WriteAt(s.encode(number), int64(number%slots)*slotBytes); err != nil {
		return err
	}
	p.number, p.saved = number, time.Now()
	return nil
}

// sums follows the beginning that is without gaps, and returns nil when the file is complete and has the hashes, a HashError when it has
// not, and errEnded when nothing comes any more before it is complete.
func (p *part) sums(ctx context.Context) error {
	const most = 1 << 20
	sums := p.file.sums()
	buffer := make([]byte, most)
	for {
		p.mu.Lock()
		for p.state.size < 0 && !p.ended {
			p.moved.Wait()
		}
		size, times, ended := p.state.size, p.times, p.ended
		p.mu.Unlock()
		if size < 0 && ended {
			return errEnded
		}
		hashes, to := open(sums, size)
		for at := int64(0); ; {
			p.mu.Lock()
			for p.state.have.prefix() <= at && p.times == times && !p.ended { // also behind the last byte, which may be dropped again
				p.moved.Wait()
			}
			end, again, ended := p.state.have.prefix(), p.times != times || p.state.size != size, p.ended
			p.mu.Unlock()
			if again {
				break
			}
			if at == size && ended {
				return compare(p.file.Path, sums, hashes)
			}
			if end <= at && ended || ctx.Err() != nil {
				return errEnded
			}
			n := min(most, end-at)
			if len(sums) == 0 {
				at += n
				continue
			}
			again, err := p.read(buffer[:n], at, times)
			if err != nil {
				return err
			} else if again {
				break
			}
			to.Write(buffer[:n])
			at += n
		}
	}
}

// read reads bytes that are there, unless some were forgotten since they were so many times: these may have gone, or be others, again.
func (p *part) read(buffer []byte, at int64, times int) (again bool, err error) {
	_, err = io.ReadFull(io.NewSectionReader(p.bytes, at, int64(len(buffer))), buffer)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.times != times {
		return true, nil
	}
	return false, err
}

// errEnded means that a file was not complete when nothing came any more.
var errEnded = errors.New("not complete")

// begin tells sums that something comes.
func (p *part) begin() {
	p.mu.Lock()
	p.ended = false
	p.mu.Unlock()
}

// end tells sums that nothing comes any more.
func (p *part) end() {
	p.mu.Lock()
	p.ended = true
	p.moved.Broadcast()
	p.mu.Unlock()
}

// keep gives the file its name. The part must be complete and right.
func (p *part) keep() error {
	err := p.bytes.Truncate(p.state.size)
	err = cmp.Or(err, p.save())
	err = cmp.Or(err, p.bytes.Close())
	if err == nil {
		err = os.Rename(partPath(p.file.Path), p.file.Path)
	}
	if err != nil {
		p.release()
		return err
	}
	p.forget()
	return machine.SyncFolder(filepath.Dir(p.file.Path))
}

// discard removes the part.
func (p *part) discard() error {
	p.bytes.Close()
	err := os.Remove(partPath(p.file.Path))
	p.forget()
	return err
}

// forget removes the state, and releases the lock on it.
func (p *part) forget() {
	if runtime.GOOS != "windows" { // where files that are open cannot be removed
		os.Remove(recordPath(p.file.Path))
	}
	p.release()
	if runtime.GOOS == "windows" {
		os.Remove(recordPath(p.file.Path))
	}
}

// close leaves the part for the next call.
func (p *part) close() error {
	err := p.save()
	err = cmp.Or(err, p.bytes.Close())
	p.release()
	return err
}

// Discard removes what an unfinished fetch has left beside path. The error is ErrBusy while one is at it.
func Discard(path string) error {
	_, release, err := lock(recordPath(path))
	if err != nil {
		return err
	}
	err = os.Remove(partPath(path))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	p := part{file: &File{Path: path}, release: release}
	p.forget()
	return err
}
