package hub

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/gogemma/gemma4/gguf"
)

// entry is a file of a repository: in a listing, in a cache or in the store.
type entry struct {
	path    string // in the repository, with slashes
	size    int64  // in bytes, -1 if unknown
	sha256  string // hex in small letters, "" if unknown
	gitSHA1 string // likewise, of "blob SIZE\0" and the content
}

// choice is what a name means of the files of a repository.
type choice struct {
	model              []entry // all parts in their order
	projector, drafter *entry  // that go with it, nil if there is none
}

// byDefault are the quantisations that are taken, in this order, where nothing is said.
var byDefault = []string{"Q4_K_M", "Q8_0"}

// choose returns what a tag means of the files of a repository: the path or the name of a file, or a word in its name, such as a
// quantisation. Where several have it, the first counts. The companions are those that fit best.
func choose(files []entry, tag string) (c choice, err error) {
	var models, projectors, drafters, all []entry
	for _, f := range files {
		if _, number, _, split := gguf.ParsePartName(f.path); !isGGUF(f.path) || split && number != 1 {
			continue
		}
		all = append(all, f)
		switch kindOf(f.path) {
		case modelRole:
			models = append(models, f)
		case projectorRole:
			projectors = append(projectors, f)
		case drafterRole:
			drafters = append(drafters, f)
		}
	}
	first := -1
	switch {
	case isGGUF(tag): // what is asked for by its name may be of any kind
		models = all
		first = slices.IndexFunc(all, func(f entry) bool { return isNamed(f.path, tag) })
	case tag != "":
		first = withWord(models, tag)
	default:
		for _, word := range byDefault {
			if first < 0 {
				first = withWord(models, word)
			}
		}
		if first < 0 && len(models) > 0 {
			first = 0
		}
	}
	if first < 0 {
		return c, noChoice(models, tag)
	}
	if c.model, err = parts(files, models[first]); err != nil {
		return c, err
	}
	if kindOf(models[first].path) != modelRole {
		return c, nil
	}
	c.projector, c.drafter = companion(projectors, models[first].path), companion(drafters, models[first].path)
	return c, nil
}

// noChoice says that no file has a tag, and which there are.
func noChoice(models []entry, tag string) error {
	if len(models) == 0 && tag == "" {
		return fmt.Errorf("%w: there is no GGUF file of a model", ErrNotFound)
	}
	var there []string
	for _, m := range models {
		word := m.path
		if q := quantisation(m.path); q != "" && !slices.Contains(there, q) && !isGGUF(tag) {
			word = q
		}
		if len(there) == 20 {
			there = append(there, "…")
			break
		}
		there = append(there, word)
	}
	if len(there) == 0 {
		there = []string{"no GGUF file of a model"}
	}
	return fmt.Errorf("%w: no file has %s in its name; there are %s", ErrNotFound, tag, strings.Join(there, ", "))
}

// isNamed reports whether a tag names a file, by its path or by its name alone; any part names a split file.
func isNamed(file, tag string) bool {
	file, tag = joined(file), joined(tag)
	return strings.EqualFold(file, tag) || strings.EqualFold(path.Base(file), tag)
}

// joined returns the name that a split file has without the numbers of its parts.
func joined(file string) string {
	if prefix, _, _, split := gguf.ParsePartName(file); split {
		return prefix + ".gguf"
	}
	return file
}

// withWord returns the index of the first file that has a word in its path, which a dot, a dash or a slash ends and no letter or digit
// stands before, or -1.
func withWord(files []entry, word string) int {
	re := regexp.MustCompile(`(?i)(^|[^a-z0-9])` + regexp.QuoteMeta(word) + `[-./]`)
	return slices.IndexFunc(files, func(f entry) bool { return re.MatchString(f.path) })
}

// parts returns all parts of the file that first is the first part of.
func parts(files []entry, first entry) ([]entry, error) {
	prefix, _, count, split := gguf.ParsePartName(first.path)
	if !split {
		return []entry{first}, nil
	}
	all := []entry{first}
	for number := 2; number <= count; number++ {
		want := fmt.Sprintf("%s-%05d-of-%05d.gguf", prefix, number, count)
		i := slices.IndexFunc(files, func(f entry) bool { return f.path == want })
		if i < 0 {
			return nil, fmt.Errorf("%w: %s is part 1 of %d, and there is no %s", ErrNotFound, first.path, count, path.Base(want))
		}
		all = append(all, files[i])
	}
	return all, nil
}

// kindOf says by a file's path what it is to a model.
func kindOf(file string) role {
	lower := strings.ToLower(file)
	base := path.Base(lower)
	begins := func(prefixes ...string) bool {
		return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(base, p) })
	}
	switch {
	case strings.Contains(base, "mmproj"):
		return projectorRole
	case begins("mtp-") || slices.Contains(strings.Split(path.Dir(lower), "/"), "mtp"):
		return drafterRole
	case strings.Contains(base, "imatrix") || begins("eagle3-", "dflash-", "dspark-"):
		return otherRole
	}
	return modelRole
}

// companion returns the one of files that fits a model best: that shares most folders with it, of the same quantisation, else of the
// nearest number of bits. nil if there is none.
func companion(files []entry, model string) (best *entry) {
	distance := func(file string) []int { // the first counts most
		a, b := folders(model), folders(file)
		shared := 0
		for shared < len(a) && shared < len(b) && a[shared] == b[shared] {
			shared++
		}
		of, with := quantisation(model), quantisation(file)
		other := 0
		if of != with {
			other = 1
		}
		return []int{-shared, other, max(bits(of)-bits(with), bits(with)-bits(of))}
	}
	for i, f := range files {
		if _, _, _, split := gguf.ParsePartName(f.path); split {
			continue
		}
		if best == nil || slices.Compare(distance(f.path), distance(best.path)) < 0 {
			best = &files[i]
		}
	}
	return best
}

// folders returns the folders that a file of a repository lies in, the outermost first.
func folders(file string) []string {
	parts := strings.Split(file, "/")
	return parts[:len(parts)-1]
}

var quantisationWord = regexp.MustCompile(`(?i)(?:^|[-._])((?:I?Q[1-8](?:_[A-Z0-9]+)*|BF16|F16|F32|MXFP4(?:_[A-Z0-9]+)*|NVFP4))(?:[-.]|$)`)

// quantisation returns the word in a file's name that says how its weights are encoded, in capitals, or "".
func quantisation(file string) string {
	words := quantisationWord.FindAllStringSubmatch(path.Base(file), -1)
	if len(words) == 0 {
		return ""
	}
	return strings.ToUpper(words[len(words)-1][1])
}

// bits returns the bits of a weight that a quantisation's name tells; far from all where it tells none.
func bits(quantisation string) int {
	digits := strings.IndexAny(quantisation, "0123456789")
	if digits < 0 {
		return 1 << 10
	}
	end := digits
	for end < len(quantisation) && '0' <= quantisation[end] && quantisation[end] <= '9' {
		end++
	}
	n, _ := strconv.Atoi(quantisation[digits:end])
	return n
}

func isGGUF(name string) bool { return strings.HasSuffix(strings.ToLower(name), ".gguf") }
