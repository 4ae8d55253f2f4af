package media

import (
	"bytes"
	"slices"
	"strings"
)

// Sniff returns the format that a file with these first bytes has, as "JPEG", "MP4" or "HEIC", or "" if it is none that this package knows
// or has been given. 512 bytes are enough. Known is more than decoded: what is refused has a name, too.
func Sniff(head []byte, o Options) string {
	if f := given(head, o); f != nil {
		return f.Name
	}
	return sniff(head)
}

// given returns the caller's own format of a file.
func given(head []byte, o Options) *Format {
	head = head[:min(len(head), 512)]
	for i := range o.Formats {
		if o.Formats[i].Sniff(head) {
			return &o.Formats[i]
		}
	}
	return nil
}

// signatures are how files begin; a dot stands for any byte.
var signatures = []struct{ begin, format string }{
	{"\xff\xd8\xff", "JPEG"},
	{"\x89PNG\r\n\x1a\n", "PNG"},
	{"GIF87a", "GIF"},
	{"GIF89a", "GIF"},
	{"RIFF....WEBP", "WebP"},
	{"RIFF....AVI ", "AVI"},
	{"RIFF....WAVE", "WAV"},
	{"II*\x00", "TIFF"},
	{"MM\x00*", "TIFF"},
	{"II+\x00", "BigTIFF"},
	{"MM\x00+", "BigTIFF"},
	{"\xff\x0a", "JPEG XL"},
	{"\x00\x00\x00\x0cJXL \r\n\x87\n", "JPEG XL"},
	{"\x00\x00\x00\x0cjP  \r\n\x87\n", "JPEG 2000"},
	{"\xff\x4f\xff\x51", "JPEG 2000"},
	{"%PDF-", "PDF"},
	{"%!PS", "PostScript"},
	{"8BPS", "Photoshop"},
	{"\x00\x00\x01\x00", "ICO"},
	{"qoif", "QOI"},
	{"\x1aE\xdf\xa3", "WebM/Matroska"},
	{"OggS", "Ogg"},
	{"FLV\x01", "FLV"},
	{"\x00\x00\x01\xba", "MPEG"},
	{"\x00\x00\x01\xb3", "MPEG"},
	{"0&\xb2u\x8ef\xcf\x11", "ASF/WMV"},
	{"ID3", "MP3"},
	{"fLaC", "FLAC"},
}

func sniff(head []byte) string {
	for _, s := range signatures {
		if matches(head, s.begin) {
			return s.format
		}
	}
	if len(head) >= 12 {
		switch brand := string(head[8:12]); string(head[4:8]) {
		case "ftyp":
			switch brand {
			case "heic", "heix", "heim", "heis", "hevc", "hevx":
				return "HEIC"
			case "avif", "avis":
				return "AVIF"
			case "mif1", "msf1", "miaf":
				return heif(head)
			case "M4A ", "M4B ":
				return "M4A"
			}
			return "MP4"
		case "moov", "mdat", "wide", "free", "skip", "pnot":
			return "MP4" // QuickTime of before there was ftyp
		}
	}
	if len(head) >= 18 && head[0] == 'B' && head[1] == 'M' && head[15]|head[16]|head[17] == 0 &&
		slices.Contains([]byte{12, 16, 40, 52, 56, 64, 108, 124}, head[14]) {
		return "BMP"
	}
	if text := bytes.TrimLeft(bytes.TrimPrefix(head, []byte("\xef\xbb\xbf")), " \t\r\n"); len(text) > 0 && text[0] == '<' {
		if low := strings.ToLower(string(text[:min(len(text), 512)])); strings.Contains(low, "<svg") {
			return "SVG"
		}
	}
	return ""
}

// heif tells by the further brands of a file which codec a HEIF picture has.
func heif(head []byte) string {
	for at := 16; at+4 <= min(len(head), int(head[3])); at += 4 {
		switch string(head[at : at+4]) {
		case "avif", "avis":
			return "AVIF"
		}
	}
	return "HEIC"
}

func matches(head []byte, begin string) bool {
	if len(head) < len(begin) {
		return false
	}
	for i := range len(begin) {
		if begin[i] != '.' && begin[i] != head[i] {
			return false
		}
	}
	return true
}

// refusal is the error of a file of that format where a picture, or a video, was wanted.
func refusal(name, format string, video bool) error {
	pictures := "pictures of the pages, such as PNG files,"
	switch format {
	case "":
		return failed(name, "neither a picture nor a video that is known here")
	case "WAV", "MP3", "FLAC", "Ogg", "M4A":
		return failed(name, "%s is sound (or a video that is not decoded here), not a picture", format)
	case "PDF":
		from, _ := becomes(name, ".png")
		return &Unsupported{Name: name, Format: format, Command: "pdftoppm -r 150 -png " + from + " page", Result: pictures}
	case "PostScript":
		from, _ := becomes(name, ".png")
		return &Unsupported{Name: name, Format: format, Command: "gs -sDEVICE=png16m -r150 -o page-%d.png " + from, Result: pictures}
	case "SVG":
		from, to := becomes(name, ".png")
		return &Unsupported{Name: name, Format: format, Command: "rsvg-convert -o " + to + " " + from, Result: "a PNG"}
	case "Photoshop", "ICO", "BigTIFF":
		return convert(name, format)
	case "AVI", "MP4":
		return failed(name, "%s is a video, not a picture", format)
	case "WebM/Matroska", "FLV", "MPEG", "ASF/WMV":
		return motion(name, format+" video")
	}
	if video {
		return failed(name, "%s is a picture, not a video", format)
	}
	from, to := becomes(name, ".png")
	return &Unsupported{Name: name, Format: format, Command: "ffmpeg -i " + from + " " + to, Result: "a PNG"}
}

// convert is the error of a picture that ImageMagick knows better.
func convert(name, format string) error {
	from, to := becomes(name, ".png")
	return &Unsupported{Name: name, Format: format, Command: "magick " + from + " " + to, Result: "a PNG"}
}

// motion is the error of a video in another codec than those here.
func motion(name, format string) error {
	from, to := becomes(name, ".avi")
	return &Unsupported{Name: name, Format: format, Command: "ffmpeg -i " + from + " -an -c:v mjpeg -q:v 2 " + to, Result: "Motion JPEG"}
}
