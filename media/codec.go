package media

import (
	"fmt"
	"image"
	"strings"

	"github.com/gogemma/gemma4/internal/pixel"
)

// codecName says what the four letters of a codec in AVI or MP4 mean.
func codecName(letters string) string {
	names := map[string]string{
		"avc1": "H.264", "avc3": "H.264", "h264": "H.264", "x264": "H.264",
		"hvc1": "H.265", "hev1": "H.265", "hevc": "H.265", "h265": "H.265", "x265": "H.265", "dvh1": "H.265", "dvhe": "H.265",
		"vp08": "VP8", "vp80": "VP8", "vp09": "VP9", "vp90": "VP9", "av01": "AV1",
		"mp4v": "MPEG-4", "xvid": "MPEG-4", "divx": "MPEG-4", "dx50": "MPEG-4", "fmp4": "MPEG-4",
		"apch": "ProRes", "apcn": "ProRes", "apcs": "ProRes", "apco": "ProRes", "ap4h": "ProRes",
		"mjpb": "Motion JPEG B", "raw ": "uncompressed", "\x00\x00\x00\x00": "uncompressed", "dib ": "uncompressed",
	}
	if name := names[strings.ToLower(letters)]; name != "" {
		return name + " video"
	}
	return fmt.Sprintf("video of codec %q", letters)
}

func frameName(name string, index int) string {
	if name == "" {
		return fmt.Sprintf("frame %d", index)
	}
	return fmt.Sprintf("%s, frame %d", name, index)
}

// orNil is m as an image.Image that is nil where there is an error.
func orNil(m *pixel.Image, err error) (image.Image, error) {
	if err != nil {
		return nil, err
	}
	return m, nil
}
