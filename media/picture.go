package media

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"image/png"
	"io"
	"os"

	"golang.org/x/image/bmp"
	"golang.org/x/image/tiff"

	"github.com/gogemma/gemma4/internal/pixel"
)

// Picture decodes a picture of any format in the package's table, known by its content; name is what errors call it and means nothing else.
// The picture is opaque RGB, what is transparent lies over white, and it stands as it is to be seen: EXIF's orientation has been applied,
// so that places in it are those that a viewer shows (see [Orientation]). Of an animation it is the first frame.
func Picture(name string, data []byte, o Options) (image.Image, error) {
	m, err := picture(name, data, o)
	if err != nil {
		return nil, err
	}
	return m.Turn(Orientation(data)), nil
}

// ReadPicture is [Picture] of what r has, which is read up to the limit of bytes.
func ReadPicture(name string, r io.Reader, o Options) (image.Image, error) {
	data, err := readAll(name, r, o)
	if err != nil {
		return nil, err
	}
	return Picture(name, data, o)
}

// OpenPicture is [Picture] of a file.
func OpenPicture(path string, o Options) (image.Image, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("media: %w", err)
	}
	defer f.Close()
	return ReadPicture(path, f, o)
}

// Size returns what the bounds of the decoded [Picture] will be, by its headers alone.
func Size(name string, data []byte, o Options) (width, height int, err error) {
	c, err := config(name, data, o)
	if err != nil {
		return 0, 0, err
	}
	if Orientation(data) >= 5 {
		return c.Height, c.Width, nil
	}
	return c.Width, c.Height, nil
}

func readAll(name string, r io.Reader, o Options) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, o.bytes()+1))
	if err != nil {
		return nil, failed(name, "%w", err)
	}
	if int64(len(data)) > o.bytes() {
		return nil, failed(name, "a file %w: the limit is %d bytes", ErrTooLarge, o.bytes())
	}
	return data, nil
}

// config returns the size as stored, within the limit.
func config(name string, data []byte, o Options) (c image.Config, err error) {
	if len(data) == 0 {
		return c, failed(name, "the file is empty")
	}
	format := sniff(data)
	if f := given(data, o); f != nil {
		if f.Config == nil {
			return image.Config{}, failed(name, "the size of %s pictures is not known before they are decoded", f.Name)
		}
		format = f.Name
		c, err = f.Config(bytes.NewReader(data))
	} else {
		switch format {
		case "JPEG":
			c, err = jpegConfig(name, data)
		case "PNG":
			c, err = png.DecodeConfig(bytes.NewReader(data))
		case "GIF":
			c, err = gifConfig(data)
		case "WebP":
			c, err = webpConfig(data)
		case "BMP":
			c, err = bmp.DecodeConfig(bytes.NewReader(data))
		case "TIFF":
			c, err = tiff.DecodeConfig(bytes.NewReader(data))
		default:
			return c, refusal(name, format, false)
		}
	}
	if err != nil {
		return c, undecoded(name, format, err)
	}
	return c, tooLarge(name, c.Width, c.Height, o)
}

// picture decodes what data has, as it is stored.
func picture(name string, data []byte, o Options) (m *pixel.Image, err error) {
	f := given(data, o)
	if f == nil || f.Config != nil {
		if _, err := config(name, data, o); err != nil {
			return nil, err
		}
	}
	format := sniff(data)
	if f != nil {
		format = f.Name
		m, err = packed(f.Decode(bytes.NewReader(data)))
	} else {
		m, err = decode(format, data, o)
	}
	if err != nil {
		return nil, undecoded(name, format, err)
	}
	return m, nil
}

// decode has the decoder of a format read data, whose header is within the limits.
func decode(format string, data []byte, o Options) (m *pixel.Image, err error) {
	defer func() { // the decoders of others: what they overlook in a file is an error of the file
		if r := recover(); r != nil {
			m, err = nil, fmt.Errorf("the decoder fails: %v", r)
		}
	}()
	switch format {
	case "JPEG":
		return decodeJPEG(data)
	case "PNG":
		return packed(png.Decode(bytes.NewReader(data)))
	case "GIF":
		return firstGIF(data, o)
	case "WebP":
		return firstWebP(data, o)
	case "BMP":
		return packed(bmp.Decode(bytes.NewReader(data)))
	default: // config refuses all but these
		return decodeTIFF(data)
	}
}

// packed makes packed RGB of what a decoder returned.
func packed(img image.Image, err error) (*pixel.Image, error) {
	if err != nil {
		return nil, err
	}
	w, h, rgb, err := pixel.RGB(img)
	if err != nil {
		return nil, err
	}
	return &pixel.Image{Width: w, Height: h, Pix: rgb}, nil
}

// undecoded is the error of a file that a decoder gave up.
func undecoded(name, format string, err error) error {
	var refused *Unsupported
	if errors.As(err, &refused) {
		return err
	}
	if feature := unsupported(err); feature != "" {
		return convert(name, format+" ("+feature+")")
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return failed(name, "%s ends too early: %w", format, io.ErrUnexpectedEOF)
	}
	return failed(name, "%s: %w", format, err)
}

// unsupported says what a decoder lacks, if that is its error.
func unsupported(err error) string {
	var j jpeg.UnsupportedError
	var p png.UnsupportedError
	var t tiff.UnsupportedError
	switch {
	case errors.As(err, &j):
		return string(j)
	case errors.As(err, &p):
		return string(p)
	case errors.As(err, &t):
		return string(t)
	case errors.Is(err, bmp.ErrUnsupported):
		return "of a rare kind"
	}
	return ""
}
