package gguf

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Keys of a split file's parts, each of which has the first two.
const (
	splitNo      = "split.no"            // index of the part, from 0
	splitCount   = "split.count"         // number of parts
	splitTensors = "split.tensors.count" // number of tensors in all parts
)

// split returns the part's index and the number of parts, 0 and 1 if the file is not split.
func (p *part) split() (no, count int, err error) {
	c, err := p.metadata.Int(splitCount)
	if errors.Is(err, ErrMissing) {
		return 0, 1, nil
	}
	if err != nil {
		return 0, 0, err
	}
	if c < 1 || c > math.MaxUint16 {
		return 0, 0, p.metadata.wrap(splitCount, fmt.Errorf("value %d, expected 1 to %d", c, math.MaxUint16))
	}
	n, err := p.metadata.Int(splitNo)
	if err != nil {
		return 0, 0, err
	}
	if n < 0 || n >= c {
		return 0, 0, p.metadata.wrap(splitNo, fmt.Errorf("value %d, expected 0 to %d, one below %s", n, c-1, splitCount))
	}
	return int(n), int(c), nil
}

// addSiblings opens the other parts of a split file, of which one is open, by its name.
func (f *File) addSiblings() error {
	first := f.parts[0]
	no, count, err := first.split()
	if err != nil || count == 1 {
		return err
	}
	prefix, _, of, ok := ParsePartName(first.name)
	if !ok {
		return first.errorf("is part %d of %d, expected a name that ends in %s, or all parts for OpenParts",
			no+1, count, partName("", no, count))
	}
	if of != count {
		return first.errorf("has %d parts by its name, %d by %s", of, count, splitCount)
	}
	for i := range count {
		if i == no {
			continue
		}
		name := partName(prefix, i, count)
		err := f.addPath(name)
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("gguf: %s: part %d of %d is missing beside %s: download it into the same folder: %w",
				name, i+1, count, first.name, fs.ErrNotExist)
		}
		if err != nil {
			return err
		}
		added := f.parts[len(f.parts)-1]
		if no, _, err := added.split(); err != nil {
			return err
		} else if no != i {
			return added.errorf("is part %d by its name, part %d by %s (%d)", i+1, no+1, splitNo, no)
		}
	}
	return nil
}

// join puts the parts in order and makes one file of them.
func (f *File) join() error {
	if len(f.parts) == 0 {
		return errors.New("gguf: no file given")
	}
	_, count, err := f.parts[0].split()
	if err != nil {
		return err
	}
	ordered := make([]*part, count)
	for _, p := range f.parts {
		no, c, err := p.split()
		switch {
		case err != nil:
			return err
		case len(f.parts) > 1 && !p.metadata.Has(splitCount):
			return p.errorf("has no %s: it is not part of a split file, but %d files are given", splitCount, len(f.parts))
		case c != count:
			return p.errorf("%s is %d, expected %d as in %s", splitCount, c, count, f.parts[0].name)
		case ordered[no] != nil:
			return p.errorf("is part %d of %d (%s %d), and so is %s", no+1, count, splitNo, no, ordered[no].name)
		}
		ordered[no] = p
	}
	if i := slices.Index(ordered, nil); i >= 0 {
		return f.parts[0].errorf("has %d parts, of which %d are given: part %d is missing", count, len(f.parts), i+1)
	}
	f.parts = ordered
	f.Version, f.Metadata = ordered[0].version, ordered[0].metadata

	f.index = make(map[string]*Tensor)
	for i, p := range f.parts {
		for _, t := range p.tensors {
			if other := f.index[t.Name]; other != nil {
				return p.errorf("tensor %s: is in %s, too", show(t.Name), other.part.name)
			}
			t.file, t.Part = f, i
			f.index[t.Name] = t
			f.Tensors = append(f.Tensors, t)
		}
	}
	for i, p := range f.parts {
		n, err := p.metadata.Int(splitTensors)
		if errors.Is(err, ErrMissing) && (count == 1 || i > 0) {
			continue
		}
		if err != nil {
			return err
		}
		if n != int64(len(f.Tensors)) {
			return p.errorf("%s is %d, but all parts together have %d tensors", splitTensors, n, len(f.Tensors))
		}
	}
	for _, p := range f.parts {
		p.metadata, p.tensors = nil, nil // f has what is needed of them
	}
	return nil
}

// partName returns PREFIX-00001-of-00003.gguf for part 0 of 3.
func partName(prefix string, no, count int) string {
	return fmt.Sprintf("%s-%05d-of-%05d.gguf", prefix, no+1, count)
}

// ParsePartName takes the path of a part of a split file apart, PREFIX-00001-of-00003.gguf being part 1 of 3. ok is false for others.
func ParsePartName(path string) (prefix string, number, count int, ok bool) {
	const tail = len("-00001-of-00003.gguf")
	cut := len(path) - tail
	if len(filepath.Base(path)) < tail {
		return "", 0, 0, false
	}
	fields := strings.Split(strings.TrimSuffix(path[cut:], ".gguf"), "-")
	if len(fields) != 4 {
		return "", 0, 0, false
	}
	number, _ = strconv.Atoi(fields[1])
	count, _ = strconv.Atoi(fields[3])
	prefix = path[:cut]
	return prefix, number, count, partName(prefix, number-1, count) == path
}
