package fetch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/gogemma/gemma4/chat"
	"github.com/gogemma/gemma4/media"
	"github.com/gogemma/gemma4/media/sound"
)

// File makes a part of a file of one's own: by its content a picture, a video (what moves, as an animated GIF does, is one) or a sound. Of
// the options those about where files may be do not matter, and a budget is for the caller to set. A video's sound is not heard; Note
// tells.
func File(ctx context.Context, name string, o Options) (chat.Part, error) {
	p, err := New(o).open(ctx, name)
	if err != nil {
		return chat.Part{}, fmt.Errorf("fetch: %w", err)
	}
	return p, nil
}

func (f *Fetcher) open(ctx context.Context, name string) (p chat.Part, err error) {
	opened, err := os.Open(name)
	if err != nil {
		return p, err
	}
	defer opened.Close()
	info, err := opened.Stat()
	if err != nil {
		return p, err
	}
	if !info.Mode().IsRegular() {
		return p, fmt.Errorf("%s: not a regular file", name)
	}
	head := make([]byte, 64<<10)
	n, err := io.ReadFull(opened, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && err != io.EOF {
		return p, err
	}
	leave, err := f.enter(ctx)
	if err != nil {
		return p, err
	}
	defer leave()
	switch kind(head[:n]) {
	case "audio":
		o := sound.Options{Name: filepath.Base(name), MaxDuration: f.duration, FFmpeg: f.FFmpeg}
		clip, err := sound.ReadFile(name, o)
		if unsupported := (*sound.Unsupported)(nil); err != nil && media.Sniff(head[:n], media.Options{}) == "" &&
			!errors.As(err, &unsupported) {
			return p, fmt.Errorf("%s: no picture, video or sound that is known here: %w", name, tooLarge(err))
		}
		if err != nil {
			return p, tooLarge(err)
		}
		return chat.AudioPart(clip.Samples), nil
	case "video":
		clip, err := media.OpenVideo(name, f.media())
		if err != nil {
			return p, tooLarge(err)
		}
		defer clip.Close()
		if len(clip.Frames) > 1 || clip.Sound || clip.Format != "GIF" && clip.Format != "WebP" {
			frames, err := f.frames(ctx, filepath.Base(name), clip, 0)
			return chat.VideoPart(frames...), err
		}
	}
	if info.Size() > f.bytes {
		return p, f.take(info.Size())
	}
	data, err := f.read(io.MultiReader(bytes.NewReader(head[:n]), opened))
	if err != nil {
		return p, err
	}
	m, err := f.picture(file{filepath.Base(name), data}, 0)
	return chat.ImagePart(m), err
}

// kind tells what a file is by how it begins: image, audio, or video, which is also what may move and need not.
func kind(head []byte) string {
	switch format := media.Sniff(head, media.Options{}); format {
	case "", "WAV", "MP3", "FLAC", "Ogg", "M4A":
		return "audio"
	case "GIF", "WebP", "AVI", "FLV", "MPEG", "ASF/WMV":
		return "video"
	case "MP4":
		if !bytes.Contains(head, []byte("vide")) && bytes.Contains(head, []byte("soun")) { // handlers of tracks
			return "audio"
		}
		return "video"
	case "WebM/Matroska":
		for _, codec := range strings.Fields("V_VP8 V_VP9 V_AV1 V_MPEG V_MS/ V_THEORA V_MJPEG") { // of tracks, which come before all frames
			if bytes.Contains(head, []byte(codec)) {
				return "video"
			}
		}
		return "audio"
	default:
		return "image"
	}
}
