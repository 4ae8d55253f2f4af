package safetensors

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gogemma/gemma4/internal/jsonstream"
)

// open opens a file, or an index and its files.
func (f *File) open(path string) error {
	if !strings.HasSuffix(path, ".json") {
		return f.addPath(path)
	}
	names, places, err := readIndex(path)
	if err != nil {
		return fmt.Errorf("safetensors: %s: %w", path, err)
	}
	for _, name := range names {
		shard := filepath.Join(filepath.Dir(path), name)
		err := f.addPath(shard)
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("safetensors: %s: is missing: %s names it: download it into the same folder: %w", shard, path, fs.ErrNotExist)
		}
		if err != nil {
			return err
		}
	}
	for _, p := range places {
		t := f.index[p.tensor]
		if t == nil || filepath.Base(t.Source) != p.file {
			return fmt.Errorf("safetensors: %s: tensor %s is not in %s, where it should be", path, jsonstream.Show(p.tensor), p.file)
		}
	}
	return nil
}

// A where says in which file a tensor is.
type where struct{ tensor, file string }

// readIndex returns the names of the files, in their order, and where each tensor is.
func readIndex(path string) (names []string, places []where, err error) {
	data, err := readSmall(path)
	if err != nil {
		return nil, nil, err
	}
	r, err := jsonstream.New(data)
	if err != nil {
		return nil, nil, err
	}
	err = r.Object(64, func(key string) error {
		if key != "weight_map" {
			return r.Skip()
		}
		return r.Object(maxTensors, func(tensor string) error {
			file, err := r.Text()
			if err != nil {
				return fmt.Errorf("weight_map: %s: %w", jsonstream.Show(tensor), err)
			}
			// Plain on every system: no folder, no drive, nothing that leads out of this one.
			if file != filepath.Base(file) || !filepath.IsLocal(file) || strings.ContainsAny(file, `/\:`) || file == "." {
				return fmt.Errorf("weight_map: %s is in %.60q, expected the name of a file beside the index", jsonstream.Show(tensor), file)
			}
			places = append(places, where{tensor, file})
			return nil
		})
	})
	if err == nil {
		err = r.End()
	}
	if err != nil {
		return nil, nil, err
	}
	if len(places) == 0 {
		return nil, nil, errors.New("no weight_map, or an empty one: is it the index of a checkpoint?")
	}
	for _, p := range places {
		names = append(names, p.file)
	}
	slices.Sort(names)
	names = slices.Compact(names)
	if len(names) > maxShards {
		return nil, nil, fmt.Errorf("%d files, expected at most %d", len(names), maxShards)
	}
	return names, places, nil
}

// maxShards bounds the files that are open at once. The largest known models have some tens.
const maxShards = 1 << 10

// readSmall returns a file that must not be larger than a header may be.
func readSmall(path string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("is no regular file (%s)", info.Mode().Type())
	case info.Size() > maxHeader:
		return nil, fmt.Errorf("%d bytes, expected at most %d", info.Size(), maxHeader)
	}
	return os.ReadFile(path)
}
