package media

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"image"
	"image/jpeg"
	"iter"

	"github.com/gogemma/gemma4/internal/pixel"
)

// segment is one of those before a JPEG's first scan.
type segment struct {
	marker byte
	body   []byte
}

// jpegSegments goes through the segments of a JPEG up to its first scan (which comes, too), or as far as they make sense. Bytes between
// them that are no marker are left out, as decoders do.
func jpegSegments(data []byte) iter.Seq[segment] {
	return func(yield func(segment) bool) {
		for at := 2; at+4 <= len(data); {
			if data[at] != 0xff || data[at+1] == 0 || data[at+1] == 0xff {
				at++
				continue
			}
			marker := data[at+1]
			if marker == 0xd9 {
				return
			}
			if 0xd0 <= marker && marker <= 0xd8 || marker == 0x01 { // without a length
				at += 2
				continue
			}
			n := int(binary.BigEndian.Uint16(data[at+2:]))
			if n < 2 || at+2+n > len(data) || !yield(segment{marker, data[at+4 : at+2+n]}) || marker == 0xda {
				return
			}
			at += 2 + n
		}
	}
}

// jpegConfig returns the size of a JPEG, and refuses by name the kinds that nothing here decodes.
func jpegConfig(name string, data []byte) (image.Config, error) {
	kinds := map[byte]string{
		0xc3: "lossless JPEG", 0xc5: "hierarchical JPEG", 0xc6: "hierarchical JPEG", 0xc7: "lossless JPEG", 0xc9: "arithmetic JPEG",
		0xca: "arithmetic JPEG", 0xcb: "lossless JPEG", 0xcd: "arithmetic JPEG", 0xce: "arithmetic JPEG", 0xcf: "lossless JPEG",
		0xf7: "JPEG-LS",
	}
	for s := range jpegSegments(data) {
		if kind := kinds[s.marker]; kind != "" {
			return image.Config{}, convert(name, kind)
		}
		if 0xc0 <= s.marker && s.marker <= 0xc2 && len(s.body) > 0 && s.body[0] != 8 {
			return image.Config{}, convert(name, fmt.Sprintf("%d-bit JPEG", s.body[0]))
		}
	}
	return jpeg.DecodeConfig(bytes.NewReader(data))
}

// decodeJPEG decodes a JPEG to the pixels that libjpeg makes of it, up to the rounding of the inverse transform: chroma is spread as it
// does.
func decodeJPEG(data []byte) (*pixel.Image, error) {
	img, err := jpeg.Decode(bytes.NewReader(data))
	if m, ok := img.(*image.YCbCr); ok && err == nil {
		return spread(m), nil
	}
	return packed(img, err)
}

// spread turns luma and chroma into RGB with libjpeg's integers. Where chroma has half the columns, or half of both, pixels take three
// quarters of the nearest sample and one of the next, which is what libjpeg calls fancy upsampling; other ratios repeat samples.
func spread(m *image.YCbCr) *pixel.Image {
	w, h := m.Rect.Dx(), m.Rect.Dy()
	out := pixel.New(w, h)
	var across, down int // pixels per sample of chroma
	switch m.SubsampleRatio {
	case image.YCbCrSubsampleRatio422:
		across, down = 2, 1
	case image.YCbCrSubsampleRatio420:
		across, down = 2, 2
	case image.YCbCrSubsampleRatio440:
		across, down = 1, 2
	case image.YCbCrSubsampleRatio411:
		across, down = 4, 1
	case image.YCbCrSubsampleRatio410:
		across, down = 4, 2
	default:
		across, down = 1, 1
	}
	cw, ch := (w+across-1)/across, (h+down-1)/down
	fancy := across <= 2 && (across == 1 || cw > 2)
	planes := [2][]byte{m.Cb, m.Cr}
	var chroma [2][]byte
	for p := range chroma {
		chroma[p] = make([]byte, cw*across)
	}
	sums := make([]int, cw, cw+1)
	for y := range h {
		for p, plane := range planes {
			near := plane[y/down*m.CStride:][:cw]
			next := near // the row of samples on the pixel's other side
			if down == 2 {
				other := min(max(y/2+2*(y&1)-1, 0), ch-1)
				next = plane[other*m.CStride:][:cw]
			}
			dst := chroma[p]
			switch {
			case !fancy:
				for x := range dst {
					dst[x] = near[x/across]
				}
			case across == 1 && down == 1:
				copy(dst, near)
			case across == 1:
				bias := 1 + y&1
				for x, v := range near {
					dst[x] = byte((3*int(v) + int(next[x]) + bias) >> 2)
				}
			case down == 1:
				for x, v := range near {
					left, right := near[max(x-1, 0)], near[min(x+1, cw-1)]
					dst[2*x] = byte((3*int(v) + int(left) + 1) >> 2)
					dst[2*x+1] = byte((3*int(v) + int(right) + 2) >> 2)
				}
			default:
				for x, v := range near {
					sums[x] = 3*int(v) + int(next[x])
				}
				left, v := sums[0], sums[0]
				for x, right := range append(sums, sums[cw-1])[1:] {
					pair := dst[2*x:][:2]
					pair[0], pair[1] = byte((3*v+left+8)>>4), byte((3*v+right+7)>>4)
					left, v = v, right
				}
			}
		}
		row := out.Pix[3*w*y:][:3*w]
		luma := m.Y[y*m.YStride:][:w]
		cb, cr := chroma[0][:w], chroma[1][:w]
		for x, v := range luma {
			p := row[3*x:][:3]
			p[0], p[1], p[2] = fromYCC(int32(v), int32(cb[x])-128, int32(cr[x])-128)
		}
	}
	return out
}

// fromYCC is JFIF's conversion with libjpeg's factors of 16 bits; each part is rounded by itself.
func fromYCC(y, cb, cr int32) (r, g, b byte) {
	const half = 1 << 15
	return clamp(y + (91881*cr+half)>>16), clamp(y + (-22554*cb-46802*cr+half)>>16), clamp(y + (116130*cb+half)>>16)
}

// clamp is the nearest of 0 to 255.
func clamp(v int32) byte {
	if uint32(v) > 255 {
		return byte(^(v >> 31)) // all ones but for a negative v
	}
	return byte(v)
}
