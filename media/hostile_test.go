package media_test

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"image"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/gogemma/gemma4/media"
)

// allocated returns how many bytes f allocates in all.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func u16(v int) string { return string(binary.LittleEndian.AppendUint16(nil, uint16(v))) }
func u32(v int) string { return string(binary.LittleEndian.AppendUint32(nil, uint32(v))) }
func b16(v int) string { return string(binary.BigEndian.AppendUint16(nil, uint16(v))) }
func b32(v int) string { return string(binary.BigEndian.AppendUint32(nil, uint32(v))) }

// be are numbers of 32 bits.
func be(numbers ...int) (all string) {
	for _, v := range numbers {
		all += b32(v)
	}
	return all
}

// chunk is one of a PNG, piece one of a RIFF, box one of an MP4.
func chunk(kind, body string) string {
	return b32(len(body)) + kind + body + b32(int(crc32.ChecksumIEEE([]byte(kind+body))))
}

func piece(kind, body string) string {
	return kind + u32(len(body)) + body + strings.Repeat("\x00", len(body)&1)
}

func box(kind string, bodies ...string) string {
	body := strings.Join(bodies, "")
	return b32(8+len(body)) + kind + body
}

const pngBegin = "\x89PNG\r\n\x1a\n"

func header(w, h int, depth, kind string) string {
	return pngBegin + chunk("IHDR", be(w, h)+depth+kind+"\x00\x00\x00")
}

// TestPicturesThatClaimToBeLargeAreErrorsBeforeTheyAreDecoded: 50,000 × 50,000 pixels by a header, and less that is still too much.
func TestPicturesThatClaimToBeLargeAreErrorsBeforeTheyAreDecoded(t *testing.T) {
	const n = 50_000
	vp8 := "\x10\x02\x00\x9d\x01\x2a" + u16(16383) + u16(16383) + strings.Repeat("\x00", 40)
	vp8l := "\x2f" + u32(16382|16382<<14)
	canvas := func(flags string) string { return piece("VP8X", flags+"\x00\x00\x00"+u32(n - 1)[:3]+u32(n - 1)[:3]) }
	tiff := func(order func(int) string, short func(int) string, begin string) string {
		entry := func(tag, kind, v int) string {
			if kind == 3 {
				return short(tag) + short(kind) + order(1) + short(v) + short(0)
			}
			return short(tag) + short(kind) + order(1) + order(v)
		}
		return begin + order(8) + short(9) + entry(256, 4, n) + entry(257, 4, n) + entry(258, 3, 8) + entry(259, 3, 5) + entry(262,
			3, 1) +
			entry(273, 4, 8) + entry(277, 3, 1) + entry(278, 4, n) + entry(279, 4, 100) + order(0)
	}
	for name, data := range map[string]string{
		"png": header(n, n, "\x10", "\x06") + chunk("IDAT", ""),
		"jpeg": "\xff\xd8\xff\xc0\x00\x11\x08" + b16(n) + b16(n) + "\x03\x01\x22\x00\x02\x11\x00\x03\x11\x00" +
			"\xff\xda\x00\x0c\x03\x01\x00\x02\x00\x03\x00\x00\x3f\x00",
		// golang/go#12512: 34 bytes that were 4 GB.
		"gif": "GIF89a" + u16(65535) + u16(65535) + "\x80\x00\x00" + "\x00\x00\x00\xff\xff\xff" + "," + u16(0) + u16(0) +
			u16(65535) + u16(65535) + "\x00\x02\x01\x00\x00;",
		"webp lossy":    "RIFF" + u32(100) + "WEBP" + piece("VP8 ", vp8),
		"webp lossless": "RIFF" + u32(100) + "WEBP" + piece("VP8L", vp8l+"\x00\x00\x00"),
		"webp canvas": "RIFF" + u32(100) + "WEBP" + canvas("\x02") + piece("ANMF",
			u32(0)[:3]+u32(0)[:3]+u32(16382)[:3]+u32(16382)[:3]+"\x64\x00\x00\x00"+piece("VP8L", vp8l)),
		"bmp":     "BM" + u32(54) + u32(0) + u32(54) + u32(40) + u32(n) + u32(n) + u16(1) + u16(24) + strings.Repeat("\x00", 24),
		"tiff II": tiff(u32, u16, "II*\x00"),
		"tiff MM": tiff(b32, b16, "MM\x00*"),
	} {
		t.Run(name, func(t *testing.T) {
			var err error
			used := allocated(func() { _, err = media.Picture("it", []byte(data), media.Options{}) })
			if !errors.Is(err, media.ErrTooLarge) || used > 1<<20 {
				t.Errorf("%v, %d bytes allocated", err, used)
			}
			if m, err := media.Picture("it", []byte(data), media.Options{Pixels: 10}); m != nil || !errors.Is(err, media.ErrTooLarge) {
				t.Errorf("%v, %v", m, err)
			}
			used = allocated(func() { _, err = media.Video("it", strings.NewReader(data), int64(len(data)), media.Options{}) })
			if err == nil || used > 1<<20 {
				t.Errorf("as a video: %v, %d bytes allocated", err, used)
			}
		})
	}
}

// TestPicturesWithoutPixelsAreErrors, whatever the format.
func TestPicturesWithoutPixelsAreErrors(t *testing.T) {
	for name, data := range map[string]string{
		"nothing": "",
		"png":     header(0, 5, "\x08", "\x02") + chunk("IDAT", ""),
		"jpeg":    "\xff\xd8\xff\xc0\x00\x0b\x08\x00\x00\x00\x00\x01\x01\x11\x00\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00\xff\xd9",
		"gif": "GIF89a" + u16(0) + u16(0) + "\x80\x00\x00" + "\x00\x00\x00\xff\xff\xff" + "," + u16(0) + u16(0) + u16(0) +
			u16(0) + "\x00\x02\x01\x00\x00;",
		"bmp":  "BM" + u32(54) + u32(0) + u32(54) + u32(40) + u32(0) + u32(0) + u16(1) + u16(24) + strings.Repeat("\x00", 24),
		"webp": "RIFF" + u32(30) + "WEBP" + piece("VP8 ", "\x10\x02\x00\x9d\x01\x2a"+u16(0)+u16(0)+"\x00\x00\x00\x00"),
	} {
		if m, err := media.Picture("it", []byte(data), media.Options{}); err == nil || m != nil || !strings.HasPrefix(err.Error(),
			"media: it: ") {
			t.Errorf("%s: %v, %v", name, m, err)
		}
	}
}

// TestBombsTakeNoMoreMemoryThanTheirPixels: what is compressed beside the pixels, and animations of many frames.
func TestBombsTakeNoMoreMemoryThanTheirPixels(t *testing.T) {
	var squeezed bytes.Buffer
	z := zlib.NewWriter(&squeezed)
	if _, err := io.CopyN(z, zeros{}, 16<<20); err != nil {
		t.Fatal(err)
	}
	z.Close()
	pixels := func(n int) string {
		var b bytes.Buffer
		z := zlib.NewWriter(&b)
		z.Write(make([]byte, n))
		z.Close()
		return b.String()
	}
	note := header(1, 1, "\x08", "\x02") + chunk("zTXt", "note\x00\x00"+squeezed.String()) + chunk("iCCP",
		"profile\x00\x00"+squeezed.String())
	whole := note + chunk("IDAT", pixels(4)) + chunk("IEND", "")
	overfull := header(1, 1, "\x08", "\x02") + chunk("IDAT", squeezed.String()) + chunk("IEND", "")

	one := "," + u16(0) + u16(0) + u16(1000) + u16(1000) + "\x00\x02\x02\x4c\x01\x00" // one pixel of a million
	gif := "GIF89a" + u16(1000) + u16(1000) + "\x80\x00\x00" + "\x00\x00\x00\xff\xff\xff" + strings.Repeat(one, 30_000) + ";"
	for name, c := range map[string]struct {
		data string
		most uint64
		fine bool
	}{
		"notes in a PNG":        {whole, 1 << 20, true},
		"pixels behind the end": {overfull, 1 << 20, false},
		"frames in a GIF":       {gif, 10 << 20, false},
	} {
		var err error
		used := allocated(func() { _, err = media.Picture("it", []byte(c.data), media.Options{}) })
		if (err == nil) != c.fine || used > c.most {
			t.Errorf("%s: %v, %d bytes allocated", name, err, used)
		}
	}
	var err error
	used := allocated(func() {
		_, err = media.Video("it", strings.NewReader(gif), int64(len(gif)), media.Options{Pixels: 1e6})
	})
	if !errors.Is(err, media.ErrTooLarge) || used > 64<<20 {
		t.Errorf("%v, %d bytes allocated for 30,000 frames", err, used)
	}
	used = allocated(func() {
		_, err = media.Video("it", strings.NewReader(gif), int64(len(gif)), media.Options{Frames: 1000})
	})
	if !errors.Is(err, media.ErrTooLarge) || used > 32<<20 {
		t.Errorf("%v, %d bytes allocated for 30,000 frames", err, used)
	}
}

// TestFilesCutAnywhereAreErrorsOrWhatIsThere: no panic, no picture of another size, and little memory.
func TestFilesCutAnywhereAreErrorsOrWhatIsThere(t *testing.T) {
	for _, folder := range []string{"pictures", "videos"} {
		found, err := filepath.Glob(filepath.Join("testdata", folder, "*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range found {
			base := filepath.Base(file)
			if strings.Count(base, ".") > 1 {
				continue
			}
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			step := 1 + len(data)/600 // every length of what has up to 600 bytes
			if testing.Short() {
				step = 1 + len(data)/60
			}
			used := allocated(func() {
				for n := 0; n < len(data); n += step {
					look(t, data[:n:n])
					if folder == "videos" {
						watch(t, data[:n:n])
					}
				}
			})
			if each := used / uint64(1+len(data)/step); each > 1<<20 {
				t.Errorf("%s: %d bytes allocated for each", base, each)
			}
		}
	}
}

func TestTheExtensionMeansNothing(t *testing.T) {
	folder := t.TempDir()
	for name, from := range map[string]string{"a.png": "pictures/jpeg-444.jpg", "b.jpg": "pictures/webp-lossless.webp",
		"c":      "pictures/bmp-24.bmp",
		"d.heic": "pictures/png-rgb8.png", "e.txt": "pictures/gif-palette.gif"} {
		if err := os.WriteFile(filepath.Join(folder, name), read(t, from), 0o666); err != nil {
			t.Fatal(err)
		}
		m, err := media.OpenPicture(filepath.Join(folder, name), media.Options{})
		if err != nil || m.Bounds() != image.Rect(0, 0, 37, 23) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := media.OpenPicture(filepath.Join(folder, "none.png"), media.Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	if _, err := media.OpenPicture(filepath.Join(folder, "c"), media.Options{Bytes: 100}); !errors.Is(err, media.ErrTooLarge) {
		t.Error(err)
	}
}

// TestWhatIsNotDecodedIsRefusedByName, with what makes something of it that is.
func TestWhatIsNotDecodedIsRefusedByName(t *testing.T) {
	ftyp := func(brands ...string) string {
		return box("ftyp", brands[0], "\x00\x00\x00\x00", strings.Join(brands, ""))
	}
	video := func(codec string) string {
		entry := strings.Repeat("\x00", 24) + b16(64) + b16(48) + strings.Repeat("\x00", 50)
		return ftyp("isom") + box("moov", box("trak", box("mdia", box("hdlr", strings.Repeat("\x00", 8), "vide",
			strings.Repeat("\x00", 12)),
			box("minf", box("stbl", box("stsd", b32(0), b32(1), box(codec, entry)))))))
	}
	avi := func(codec string) string {
		strh := piece("strh", "vids"+codec+strings.Repeat("\x00", 12)+u32(1)+u32(25)+strings.Repeat("\x00", 28))
		strf := piece("strf", u32(40)+u32(64)+u32(48)+u16(1)+u16(24)+codec+strings.Repeat("\x00", 20))
		return "RIFF" + u32(200) + "AVI " + piece("LIST", "hdrl"+piece("LIST", "strl"+strh+strf))
	}
	sof := func(marker, precision string) string {
		return "\xff\xd8\xff" + marker + "\x00\x0b" + precision + b16(8) + b16(8) +
			"\x01\x01\x11\x00\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00\xff\xd9"
	}
	for _, c := range []struct{ name, data, want string }{
		{"photo.heic", ftyp("heic", "mif1"),
			"media: photo.heic: HEIC is not decoded here; ffmpeg -i photo.heic photo.png makes a PNG of it"},
		{"photo.heif", ftyp("mif1", "heic"), "HEIC is not"},
		{"a.avif", ftyp("avif"), "AVIF is not decoded here; ffmpeg -i a.avif a.png makes"},
		{"a.avif", ftyp("mif1", "miaf", "avif"), "AVIF is not"},
		{"a.jxl", "\xff\x0a" + strings.Repeat("x", 20), "JPEG XL is not decoded here; ffmpeg -i a.jxl a.png"},
		{"a.jxl", "\x00\x00\x00\x0cJXL \r\n\x87\n", "JPEG XL is not"},
		{"a.jp2", string(read(t, "pictures/refused-2000.jp2")), "JPEG 2000 is not"},
		{"my logo.svg", "<?xml version='1.0'?>\n<SVG width='5'/>",
			"SVG is not decoded here; rsvg-convert -o 'my logo.png' 'my logo.svg' makes a PNG"},
		{"it's.pdf", "%PDF-1.7", `PDF is not decoded here; pdftoppm -r 150 -png 'it'\''s.pdf' page makes pictures of the pages`},
		{"-a.ps", "%!PS-Adobe", "PostScript is not decoded here; gs -sDEVICE=png16m -r150 -o page-%d.png ./-a.ps makes"},
		{"a.psd", "8BPS\x00", "Photoshop is not decoded here; magick a.psd a.png"},
		{"wrong.png", "8BPS\x00", "magick wrong.png wrong-converted.png"},
		{"", "8BPS\x00", "media: Photoshop is not decoded here; magick FILE FILE.png"},
		{"a.jpg", sof("\xc9", "\x08"), "arithmetic JPEG is not decoded here; magick a.jpg a.png"},
		{"a.jpg", string(read(t, "pictures/refused-arithmetic.jpg")), "arithmetic JPEG"},
		{"a.jpg", sof("\xc3", "\x08"), "lossless JPEG"},
		{"a.jpg", sof("\xc1", "\x0c"), "12-bit JPEG"},
		{"a.tif", string(read(t, "pictures/refused-jpeg.tif")), "TIFF (compression value 7) is not decoded here; magick a.tif a.png"},
		{"a.tif", string(read(t, "pictures/refused-cmyk.tif")), "TIFF (color model) is not"},
		{"a.bmp", "BM" + u32(54) + u32(0) + u32(54) + u32(40) + u32(1) + u32(1) + u16(1) + u16(16) + strings.Repeat("\x00", 24),
			"BMP (of a rare kind)"},
		{"a.wav", "RIFF" + u32(50) + "WAVE", "WAV is sound"},
		{"a.txt", "hello", "neither a picture nor a video"},
		{"a.mp4", video("avc1"), "MP4 is a video, not a picture"},
		{"a.webm", "\x1aE\xdf\xa3",
			"WebM/Matroska video is not decoded here; ffmpeg -i a.webm -an -c:v mjpeg -q:v 2 a.avi makes Motion JPEG"},
	} {
		m, err := media.Picture(c.name, []byte(c.data), media.Options{})
		if m != nil || err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v\nwant %s", c.name, err, c.want)
		}
	}
	for _, c := range []struct{ name, data, want string }{
		{"a.mp4", video("avc1"),
			"media: a.mp4: H.264 video is not decoded here; ffmpeg -i a.mp4 -an -c:v mjpeg -q:v 2 a.avi makes Motion JPEG of it"},
		{"a.mp4", video("hev1"), "H.265 video"},
		{"a.mp4", video("vp09"), "VP9 video"},
		{"a.mp4", video("av01"), "AV1 video"},
		{"a.mov", video("mjpb"), "Motion JPEG B video"},
		{"a.mp4", video("quux"), `video of codec "quux"`},
		{"a.mp4", string(read(t, "videos/refused-mpeg4.mp4")), "MPEG-4 video"},
		{"a.mp4", string(read(t, "videos/refused-fragmented.mp4")),
			"fragmented MP4 is not decoded here; ffmpeg -i a.mp4 -c copy a-whole.mp4 makes"},
		{"a.avi", avi("H264"), "H.264 video is not decoded here; ffmpeg -i a.avi -an -c:v mjpeg -q:v 2 a-converted.avi"},
		{"a.avi", avi("\x00\x00\x00\x00"), "uncompressed video"},
		{"a.avi", string(read(t, "videos/refused-mpeg4.avi")), "MPEG-4 video"},
		{"a.mkv", "\x1aE\xdf\xa3", "WebM/Matroska video is not"},
		{"a.jpg", string(read(t, "pictures/jpeg-444.jpg")), "JPEG is a picture, not a video"},
		{"a.mp3", "ID3\x04", "MP3 is sound"},
	} {
		clip, err := media.Video(c.name, strings.NewReader(c.data), int64(len(c.data)), media.Options{})
		if clip != nil || err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v\nwant %s", c.name, err, c.want)
		}
	}
	var refused *media.Unsupported
	if _, err := media.Picture("photo.heic", []byte(ftyp("heic")), media.Options{}); !errors.As(err,
		&refused) || refused.Format != "HEIC" {
		t.Errorf("%#v", refused)
	}

}

// TestAFormatOfTheCallersIsAskedFirst, and within the limits if it tells the size.
func TestAFormatOfTheCallersIsAskedFirst(t *testing.T) {
	heic := media.Format{
		Name:  "toy",
		Sniff: func(head []byte) bool { return bytes.HasPrefix(head, []byte("toy")) },
		Config: func(r io.Reader) (image.Config, error) {
			data, err := io.ReadAll(r)
			return image.Config{Width: int(data[3]), Height: 1}, err
		},
		Decode: func(r io.Reader) (image.Image, error) {
			data, err := io.ReadAll(r)
			return image.NewGray(image.Rect(5, 5, 5+int(data[3]), 6)), err
		},
	}
	o := media.Options{Pixels: 100, Formats: []media.Format{heic}}
	m, err := media.Picture("it", []byte("toy\x07"), o)
	if err != nil || m.Bounds() != image.Rect(0, 0, 7, 1) || media.Sniff([]byte("toy"), o) != "toy" {
		t.Errorf("%v, %v", m, err)
	}
	if _, err := media.Picture("it", []byte("toy\xff"), o); !errors.Is(err, media.ErrTooLarge) {
		t.Error(err)
	}
	if _, err := media.Picture("it", []byte("toy\x07"), media.Options{}); err == nil {
		t.Error("a format that is not given is decoded")
	}
}
