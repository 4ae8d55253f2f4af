package sound

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"
)

// Refused is the error for a file that is known, and not decoded here.
type Refused struct {
	Name    string // of the file, if that is known
	Format  string // what it is, such as "AAC"
	Command string // makes a file of it that is decoded
}

func (e *Refused) Error() string {
	name := e.Name
	if name != "" {
		name += ": "
	}
	return fmt.Sprintf("sound: %s%s is not decoded here; %s makes a WAV of it", name, e.Format, e.Command)
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
	return &Refused{Name: name, Format: format, Command: command}
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
	{0, "OggS", "Ogg without Opus"},
}

// open tells by its content what a file is, and begins to decode it.
func open(in *input, name string) (decoder, Info, error) {
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
	if len(head) == 0 {
		return nil, Info{}, fmt.Errorf("empty")
	}
	return nil, Info{}, fmt.Errorf("begins with %q, which no format of sound does that is known here", head[:min(len(head), 12)])
}
