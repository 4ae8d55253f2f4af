package sound

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
)

// Unsupported is the error for a file that is known, and not decoded here.
type Unsupported struct {
	Name    string // of the file, if that is known
	Format  string // what it is, such as "AAC"
	Command string // makes a file of it that is decoded
	Result  string // what that is, such as "a WAV"
}

func (e *Unsupported) Error() string {
	name := e.Name
	if name != "" {
		name += ": "
	}
	return fmt.Sprintf("sound: %s%s is not decoded here; %s makes %s of it", name, e.Format, e.Command, e.Result)
}

// refuse returns the error for the file called name, with the line that makes a WAV of it.
func refuse(name, format string) error {
	from, to := name, strings.TrimSuffix(name, filepath.Ext(name))
	switch {
	case name == "":
		from, to = "IN", "OUT"
	case strings.EqualFold(filepath.Ext(name), ".wav"):
		to += "-pcm"
	}
	command := fmt.Sprintf("ffmpeg -i %s -ar 16000 -ac 1 %s", argument(from), argument(to+".wav"))
	return &Unsupported{Name: name, Format: format, Command: command, Result: "a WAV"}
}

// argument is s as a shell and a command take it for the name of a file.
func argument(s string) string {
	if strings.HasPrefix(s, "-") {
		s = "./" + s
	}
	if strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-+/") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// A mark is what files of a format have at an offset.
type mark struct {
	offset int
	bytes  string
	format string
}

func (m mark) in(head []byte) bool {
	return len(head) >= m.offset && bytes.HasPrefix(head[m.offset:], []byte(m.bytes))
}

// refused are the formats that are known and not decoded; of two that match the first one counts.
var refused = []mark{
	{4, "ftyp", "AAC in MP4"},
	{0, "ADIF", "AAC"},
	{0, "\xff\xf0", "AAC"}, {0, "\xff\xf1", "AAC"}, {0, "\xff\xf8", "AAC"}, {0, "\xff\xf9", "AAC"}, // ADTS: no layer of MPEG audio
	{0, "\x30\x26\xb2\x75\x8e\x66\xcf\x11", "WMA"},
	{0, "#!AMR", "AMR"},
	{0, "MThd", "MIDI"},
	{8, "AIFF", "AIFF"}, {8, "AIFC", "AIFF"},
	{0, ".snd", "AU"},
	{0, "caff", "CAF"},
	{0, "wvPK", "WavPack"},
	{0, "MAC ", "Monkey's Audio"},
	{0, "TTA1", "True Audio"},
	{0, "DSD ", "DSD"},
	{0, "\x0b\x77", "AC-3"},
	{0, "FLV\x01", "FLV"},
	{8, "AVI ", "AVI"},
	{28, "\x01vorbis", "Ogg Vorbis"},
	{28, "Speex   ", "Ogg Speex"},
	{28, "\x7fFLAC", "FLAC in Ogg"},
	{28, "\x80theora", "Ogg Theora"},
	{28, "fishead", "Ogg of several streams"},
}

// open tells by its content what a file is, and begins to decode it.
func open(in *input, name string) (decoder, Info, error) {
	if err := skipID3(in); err != nil {
		return nil, Info{}, err
	}
	head, _ := in.Peek(64)
	for _, m := range []string{"RIFF", "RIFX", "RF64", "BW64"} {
		if (mark{0, m, ""}).in(head) && (mark{8, "WAVE", ""}).in(head) {
			return openWAV(in, name)
		}
	}
	for _, m := range refused {
		if m.in(head) {
			return nil, Info{}, refuse(name, m.format)
		}
	}
	switch {
	case len(head) == 0:
		return nil, Info{}, errors.New("empty")
	case bytes.HasPrefix(head, []byte("fLaC")):
		return openFLAC(in, name)
	case bytes.HasPrefix(head, []byte("OggS")):
		return openOgg(in, name)
	case bytes.HasPrefix(head, []byte("\x1a\x45\xdf\xa3")):
		return openWebM(in, name)
	}
	if d, info, found, err := openMP3(in, name); found {
		return d, info, err
	}
	return nil, Info{}, fmt.Errorf("begins with %q, which no format of sound does that is known here", head[:min(len(head), 12)])
}

// skipID3 passes over tags of ID3v2, which may stand before anything: ten bytes and as many as they say, seven bits in each of four bytes.
func skipID3(in *input) error {
	for {
		head, _ := in.Peek(10)
		if len(head) < 10 || string(head[:3]) != "ID3" {
			return nil
		}
		size := int64(10)
		for i, b := range head[6:10] {
			size += int64(b&0x7f) << (7 * (3 - i))
		}
		if head[5]&0x10 != 0 {
			size += 10 // a footer
		}
		if skip(in, size) != nil {
			return errors.New("nothing but a tag of ID3")
		}
	}
}
