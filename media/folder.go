package media

import (
	"bufio"
	"cmp"
	"fmt"
	"image"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// File is one frame of a video that is a list of picture files.
type File struct {
	// Path is the picture's.
	Path string
	// Time is when it is shown, from the beginning of the video.
	Time time.Duration
}

// List returns a clip of picture files, put in order by time. Files are opened when a frame is decoded. The last is shown as long as the
// one before it, or for a second.
func List(files []File, o Options) (*Clip, error) {
	if len(files) == 0 {
		return nil, failed("", "a list without a file")
	}
	if err := tooMany("", len(files), o); err != nil {
		return nil, err
	}
	files = slices.Clone(files)
	slices.SortStableFunc(files, func(a, b File) int { return cmp.Compare(a.Time, b.Time) })
	c := &Clip{Format: "files"}
	for i, f := range files {
		if f.Time < 0 {
			return nil, failed(f.Path, "a frame at %v", f.Time)
		}
		c.Frames = append(c.Frames, Frame{Index: i, Time: f.Time, Image: func() (image.Image, error) { return OpenPicture(f.Path, o) }})
	}
	last := time.Second
	if n := len(files); n > 1 {
		last = files[n-1].Time - files[n-2].Time
	}
	c.Duration = files[len(files)-1].Time + last
	return c, nil
}

// Folder returns a clip of all pictures in a folder, fps of them a second (1 if it is 0), in the order of their names with numbers by
// value: frame2.png is before frame10.png. Other files, and names that begin with a dot, are passed over.
func Folder(dir string, fps float64, o Options) (*Clip, error) {
	if fps = cmp.Or(fps, 1); !(fps > 0 && fps <= 1e6) {
		return nil, failed(dir, "%v frames a second", fps)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("media: %w", err)
	}
	var files []File
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if info, err := os.Stat(path); strings.HasPrefix(e.Name(), ".") || err != nil || !info.Mode().IsRegular() {
			continue
		}
		head, err := begin(path)
		if err != nil {
			return nil, err
		}
		switch sniff(head) {
		case "JPEG", "PNG", "GIF", "WebP", "BMP", "TIFF":
		default:
			if given(head, o) == nil {
				continue
			}
		}
		files = append(files, File{Path: path})
	}
	if len(files) == 0 {
		return nil, failed(dir, "a folder without a picture")
	}
	slices.SortFunc(files, func(a, b File) int { return byNumber(a.Path, b.Path) })
	for i := range files {
		files[i].Time = time.Duration(float64(i) / fps * float64(time.Second))
	}
	c, err := List(files, o)
	if err == nil {
		c.Duration = time.Duration(float64(len(files)) / fps * float64(time.Second))
	}
	return c, err
}

// begin returns a file's first bytes.
func begin(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("media: %w", err)
	}
	defer f.Close()
	head := make([]byte, 512)
	n, err := io.ReadFull(f, head)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return nil, fmt.Errorf("media: %w", err)
	}
	return head[:n], nil
}

// byNumber compares names, runs of digits in them by value.
func byNumber(a, b string) int {
	for a != "" && b != "" {
		m, n := digits(a), digits(b)
		if m > 0 && n > 0 {
			x, y := strings.TrimLeft(a[:m], "0"), strings.TrimLeft(b[:n], "0")
			if order := cmp.Or(cmp.Compare(len(x), len(y)), cmp.Compare(x, y)); order != 0 {
				return order
			}
			a, b = a[m:], b[n:]
			continue
		}
		if a[0] != b[0] {
			return cmp.Compare(a[0], b[0])
		}
		a, b = a[1:], b[1:]
	}
	return cmp.Compare(len(a), len(b))
}

func digits(s string) int {
	return len(s) - len(strings.TrimLeft(s, "0123456789"))
}

// ReadList reads a list of frames: on each line a time, as 1.5 (seconds), 1:02.5 or 1:00:02, a space, and a path, which is relative to dir
// unless it is absolute. Empty lines, and those that begin with #, are passed over.
func ReadList(r io.Reader, dir string) (files []File, err error) {
	lines := bufio.NewScanner(r)
	for number := 1; lines.Scan(); number++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		clock, path, _ := strings.Cut(line, " ")
		at, err := parseTime(clock)
		if path = strings.TrimSpace(path); err != nil || path == "" {
			return nil, failed("", "line %d of a list of frames is not a time and a path: %q", number, line)
		}
		if !filepath.IsAbs(path) {
			path = filepath.Join(dir, path)
		}
		files = append(files, File{Path: path, Time: at})
	}
	if err := lines.Err(); err != nil {
		return nil, failed("", "a list of frames: %w", err)
	}
	return files, nil
}

// parseTime reads seconds, with minutes and hours before them.
func parseTime(s string) (time.Duration, error) {
	parts := strings.Split(s, ":")
	if len(parts) > 3 {
		return 0, strconv.ErrSyntax
	}
	var seconds float64
	for _, p := range parts {
		v, err := strconv.ParseFloat(p, 64)
		if err != nil || !(v >= 0 && v < 1e6) {
			return 0, strconv.ErrSyntax
		}
		seconds = 60*seconds + v
	}
	return time.Duration(seconds * float64(time.Second)), nil
}
