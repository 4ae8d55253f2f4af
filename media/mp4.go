package media

import (
	"cmp"
	"encoding/binary"
	"image"
	"io"
	"iter"
	"math"
	"slices"
)

// moovLimit is the most bytes that the tables of an MP4 may have: 20 hours of 30 frames a second have half of that.
const moovLimit = 64 << 20

// mp4Clip reads the tables of an MP4 or MOV and takes the first track whose frames are pictures of their own.
func mp4Clip(name string, r io.ReaderAt, size int64, o Options) (*Clip, error) {
	moov, err := findMoov(name, r, size)
	if err != nil {
		return nil, err
	}
	c := &Clip{Format: "MP4"}
	var refused error
	found := false
	timescale := movieTimescale(moov)
	for kind, body := range boxes(moov) {
		switch kind {
		case "mvex":
			from, to := becomes(name, "-whole.mp4")
			command := "ffmpeg -i " + from + " -c copy " + to
			return nil, &Unsupported{Name: name, Format: "fragmented MP4", Command: command, Result: "one with tables"}
		case "trak":
			t, err := readTrack(name, body, size, o)
			switch {
			case err != nil:
				refused = cmp.Or(refused, err)
			case t == nil: // neither pictures nor sound
			case t.sound:
				c.Sound = true
			case !found:
				found = true
				if err := t.clip(c, name, r, timescale, o); err != nil {
					return nil, err
				}
			}
		}
	}
	if !found {
		return nil, cmp.Or(refused, failed(name, "MP4 without a video track"))
	}
	return c, nil
}

// findMoov returns the contents of the box moov, which may be the last of the file.
func findMoov(name string, r io.ReaderAt, size int64) ([]byte, error) {
	for at := int64(0); at+8 <= size; {
		var head [16]byte
		n, err := r.ReadAt(head[:min(16, size-at)], at)
		if n < 8 {
			return nil, err
		}
		length, begin := int64(binary.BigEndian.Uint32(head[:])), int64(8)
		switch {
		case length == 1 && n == 16:
			length, begin = int64(binary.BigEndian.Uint64(head[8:])), 16
		case length == 0:
			length = size - at
		}
		kind := string(head[4:8])
		if length < begin || length > size-at {
			if kind == "mdat" {
				return nil, failed(name, "an MP4 that ends too early, before its tables: %w", io.ErrUnexpectedEOF)
			}
			return nil, failed(name, "MP4 with a box %q of %d bytes where there are %d", kind, length, size-at)
		}
		if kind == "moov" {
			if length > moovLimit {
				return nil, failed(name, "tables of an MP4 of %d bytes are %w: the limit is %d", length, ErrTooLarge, moovLimit)
			}
			moov := make([]byte, length-begin)
			if n, err := r.ReadAt(moov, at+begin); n < len(moov) {
				return nil, err
			}
			return moov, nil
		}
		at += length
	}
	return nil, failed(name, "MP4 without tables (box moov)")
}

// boxes goes through the boxes in data. It ends at one that is not all there.
func boxes(data []byte) iter.Seq2[string, []byte] {
	return func(yield func(kind string, body []byte) bool) {
		for len(data) >= 8 {
			length, begin := uint64(binary.BigEndian.Uint32(data)), uint64(8)
			switch {
			case length == 1 && len(data) >= 16:
				length, begin = binary.BigEndian.Uint64(data[8:]), 16
			case length == 0:
				length = uint64(len(data))
			}
			if length < begin || length > uint64(len(data)) || !yield(string(data[4:8]), data[begin:length]) {
				return
			}
			data = data[length:]
		}
	}
}

// inside returns the contents of the box at the end of a path, or nil.
func boxAt(data []byte, path ...string) []byte {
	for _, want := range path {
		var next []byte
		for kind, body := range boxes(data) {
			if kind == want {
				next = body
				break
			}
		}
		if next == nil {
			return nil
		}
		data = next
	}
	return data
}

// versioned are the fields of a box that has 32 bits for times in version 0 and 64 in version 1.
func movieTimescale(moov []byte) int64 {
	mvhd := boxAt(moov, "mvhd")
	at := 12
	if len(mvhd) > 0 && mvhd[0] == 1 {
		at = 20
	}
	if len(mvhd) < at+4 {
		return 0
	}
	return int64(binary.BigEndian.Uint32(mvhd[at:]))
}

// A track is what a box trak says.
type track struct {
	sound         bool
	timescale     int64
	width, height int // as stored
	orientation   int // EXIF's number for the track's matrix
	samples       []sample
	end           int64 // when the last sample ends, in units of the timescale
	edits         []byte
}

// A sample is one frame.
type sample struct {
	at, size int64 // in the file
	time     int64 // of presentation, in units of the timescale
}

// readTrack reads a track; nil is one that is neither video nor sound.
func readTrack(name string, trak []byte, size int64, o Options) (*track, error) {
	mdia := boxAt(trak, "mdia")
	handler := boxAt(mdia, "hdlr")
	if len(handler) < 12 {
		return nil, nil
	}
	switch string(handler[8:12]) {
	case "soun":
		return &track{sound: true}, nil
	case "vide":
	default:
		return nil, nil
	}
	stbl := boxAt(mdia, "minf", "stbl")
	t := &track{orientation: 1, edits: boxAt(trak, "edts", "elst")}
	if err := t.codec(name, boxAt(stbl, "stsd")); err != nil {
		return nil, err
	}
	if err := tooLarge(name, t.width, t.height, o); err != nil {
		return nil, err
	}
	mdhd := boxAt(mdia, "mdhd")
	at := 12
	if len(mdhd) > 0 && mdhd[0] == 1 {
		at = 20
	}
	if len(mdhd) < at+4 || binary.BigEndian.Uint32(mdhd[at:]) == 0 {
		return nil, failed(name, "MP4 whose video has no time scale (box mdhd)")
	}
	t.timescale = int64(binary.BigEndian.Uint32(mdhd[at:]))
	t.matrix(boxAt(trak, "tkhd"))
	return t, t.tables(name, stbl, size, o)
}

// codec reads the first entry of the box stsd, and refuses codecs that are not pictures in a row.
func (t *track) codec(name string, stsd []byte) error {
	if len(stsd) < 8 {
		return failed(name, "MP4 whose video has no description (box stsd)")
	}
	for kind, entry := range boxes(stsd[8:]) {
		if len(entry) < 78 {
			return failed(name, "MP4 whose description of %q has %d bytes", kind, len(entry))
		}
		t.width, t.height = int(binary.BigEndian.Uint16(entry[24:])), int(binary.BigEndian.Uint16(entry[26:]))
		switch kind {
		case "jpeg", "mjpa", "AVDJ", "MJPG", "png ":
			return nil
		case "mp4v":
			if picture := objectType(boxAt(entry[78:], "esds")); picture == 0x6c || picture == 0x6d { // JPEG, PNG
				return nil
			}
		}
		return motion(name, codecName(kind))
	}
	return failed(name, "MP4 whose video has no description (box stsd)")
}

// objectType returns the number of the codec in a box esds, or 0: descriptors in descriptors, each with a length of up to 4 bytes.
func objectType(esds []byte) byte {
	const elementary, decoder = 3, 4
	if len(esds) < 4 {
		return 0
	}
	tag, body := descriptor(esds[4:])
	if tag != elementary || len(body) < 3 {
		return 0
	}
	flags, body := body[2], body[3:]
	skip := 0
	if flags&0x80 != 0 { // depends on another stream
		skip += 2
	}
	if flags&0x40 != 0 && len(body) > skip { // a URL
		skip += 1 + int(body[skip])
	}
	if flags&0x20 != 0 { // a clock's stream
		skip += 2
	}
	tag, body = descriptor(body[min(skip, len(body)):])
	if tag != decoder || len(body) < 1 {
		return 0
	}
	return body[0]
}

func descriptor(data []byte) (tag byte, body []byte) {
	if len(data) < 2 {
		return 0, nil
	}
	n := 0
	for i, b := range data[1:min(len(data), 5)] {
		n = n<<7 | int(b&0x7f)
		if b&0x80 == 0 {
			body = data[2+i:]
			return data[0], body[:min(n, len(body))]
		}
	}
	return 0, nil
}

// matrix reads how a track's box tkhd turns its pictures.
func (t *track) matrix(tkhd []byte) {
	at := 40
	if len(tkhd) > 0 && tkhd[0] == 1 {
		at = 52
	}
	if len(tkhd) < at+36 {
		return
	}
	sign := func(i int) int { return int(int32(binary.BigEndian.Uint32(tkhd[at+4*i:]))) >> 16 }
	switch [4]int{sign(0), sign(1), sign(3), sign(4)} { // a, b, c, d of x′ = a·x + c·y, y′ = b·x + d·y
	case [4]int{-1, 0, 0, 1}:
		t.orientation = 2
	case [4]int{-1, 0, 0, -1}:
		t.orientation = 3
	case [4]int{1, 0, 0, -1}:
		t.orientation = 4
	case [4]int{0, 1, 1, 0}:
		t.orientation = 5
	case [4]int{0, 1, -1, 0}:
		t.orientation = 6
	case [4]int{0, -1, -1, 0}:
		t.orientation = 7
	case [4]int{0, -1, 1, 0}:
		t.orientation = 8
	}
}

// A table is what follows the version and the flags in one of stbl's boxes: a count, and rows of so many numbers of 32 bits.
type table []byte

func (t table) rows(columns int) int {
	if len(t) < 8 {
		return 0
	}
	return int(min(int64(binary.BigEndian.Uint32(t[4:])), int64(len(t)-8)/int64(4*columns)))
}

func (t table) at(i int) int64 { return int64(binary.BigEndian.Uint32(t[8+4*i:])) }

// tables joins the sample tables: where each sample lies, how long it is, and when it is shown.
func (t *track) tables(name string, stbl []byte, size int64, o Options) error {
	bad := func(format string, args ...any) error { return failed(name, "MP4 whose "+format, args...) }
	stsz := boxAt(stbl, "stsz")
	if len(stsz) < 12 {
		return bad("video has no sizes of samples (box stsz)")
	}
	common, count := int64(binary.BigEndian.Uint32(stsz[4:])), int64(binary.BigEndian.Uint32(stsz[8:]))
	sizes := table(stsz[4:])
	if common == 0 && count > int64(len(stsz)-12)/4 || common > 0 && count > size/common {
		return bad("box stsz tells of %d samples, more than it, or the file, has", count)
	}
	if err := tooMany(name, int(min(count, math.MaxInt32)), o); err != nil {
		return err
	}
	t.samples = make([]sample, count)
	for i := range t.samples {
		if t.samples[i].size = common; common == 0 {
			t.samples[i].size = sizes.at(i)
		}
	}
	if err := t.place(bad, stbl, size); err != nil {
		return err
	}

	// Times: runs of equal durations, and of offsets from decoding to presentation.
	stts, ctts := table(boxAt(stbl, "stts")), table(boxAt(stbl, "ctts"))
	next := 0
	for i := range stts.rows(2) {
		for n := stts.at(2 * i); n > 0 && next < len(t.samples); n-- {
			t.samples[next].time = t.end
			t.end += stts.at(2*i + 1)
			next++
		}
	}
	if next < len(t.samples) {
		return bad("box stts has times of %d of %d samples", next, len(t.samples))
	}
	next = 0
	for i := range ctts.rows(2) {
		for n := ctts.at(2 * i); n > 0 && next < len(t.samples); n-- {
			t.samples[next].time += int64(int32(ctts.at(2*i + 1)))
			next++
		}
	}
	return nil
}

// place reads where the samples are: chunks at offsets, and runs of chunks that have the same number of samples.
func (t *track) place(bad func(string, ...any) error, stbl []byte, size int64) error {
	stsc, stco, co64 := table(boxAt(stbl, "stsc")), table(boxAt(stbl, "stco")), table(boxAt(stbl, "co64"))
	chunks, runs := stco.rows(1), stsc.rows(3)
	offset := stco.at
	if chunks == 0 {
		chunks = co64.rows(2)
		offset = func(i int) int64 { return co64.at(2*i)<<32 | co64.at(2*i+1) }
	}
	next := 0
	for run := range runs {
		first, last := stsc.at(3*run), int64(chunks)+1
		if run+1 < runs {
			last = stsc.at(3*run + 3)
		}
		if first < 1 || last < first || last > int64(chunks)+1 {
			return bad("box stsc tells of chunks %d to %d of %d", first, last-1, chunks)
		}
		for chunk := first; chunk < last; chunk++ {
			at := offset(int(chunk - 1))
			for n := stsc.at(3*run + 1); n > 0 && next < len(t.samples); n-- {
				s := &t.samples[next]
				if at < 0 || at > size || s.size > size-at {
					return bad("frame %d lies at %d, with %d bytes, in a file of %d", next, at, s.size, size)
				}
				s.at = at
				at += s.size
				next++
			}
		}
	}
	if next < len(t.samples) {
		return bad("boxes stsc and stco have places for %d of %d samples", next, len(t.samples))
	}
	return nil
}

// shift returns what the edit list adds to all times, in units of the timescale: its first edit may begin late in the track, and empty ones
// before it delay it. Further edits are left out.
func (t *track) shift(movie int64) (add int64) {
	list := table(t.edits)
	long := len(list) > 0 && list[0] == 1
	columns := 3
	if long {
		columns = 5
	}
	for i := range list.rows(columns) {
		at := columns * i
		length, begin := list.at(at), int64(int32(list.at(at+1)))
		if long {
			length, begin = list.at(at)<<32|list.at(at+1), list.at(at+2)<<32|list.at(at+3)
		}
		if begin >= 0 {
			return add - begin
		}
		if movie > 0 && length >= 0 && length <= math.MaxInt32*movie {
			add += int64(float64(length) / float64(movie) * float64(t.timescale))
		}
	}
	return add
}

// clip puts the track's frames into c, by time. Frames that an edit list begins after are not shown.
func (t *track) clip(c *Clip, name string, r io.ReaderAt, movie int64, o Options) error {
	c.Width, c.Height = t.width, t.height
	if t.orientation >= 5 {
		c.Width, c.Height = c.Height, c.Width
	}
	add := t.shift(movie)
	end := ticks(t.end+add, t.timescale)
	for index, s := range t.samples {
		if s.size == 0 { // nothing new is shown
			continue
		}
		c.Frames = append(c.Frames, Frame{Index: index, Time: ticks(s.time+add, t.timescale), Image: func() (image.Image, error) {
			m, err := still(frameName(name, index), r, s.at, s.size, t.height, o)
			if err != nil {
				return nil, err
			}
			return m.Turn(t.orientation), nil
		}})
	}
	slices.SortStableFunc(c.Frames, func(a, b Frame) int { return cmp.Compare(a.Time, b.Time) })
	late := 0 // the last frame that began before the video does is what it begins with
	for late+1 < len(c.Frames) && c.Frames[late+1].Time <= 0 {
		late++
	}
	c.Frames = c.Frames[min(late, len(c.Frames)):]
	for i := range c.Frames {
		c.Frames[i].Index = i
		c.Frames[i].Time = max(c.Frames[i].Time, 0)
	}
	if len(c.Frames) > 0 {
		c.Duration = max(end, c.Frames[len(c.Frames)-1].Time)
	}
	return nil
}
