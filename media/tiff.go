package media

import (
	"bytes"
	"image"

	"golang.org/x/image/tiff"

	"github.com/gogemma/gemma4/internal/pixel"
)

// decodeTIFF decodes the first page. What a fax calls white is the bit 0, which in a file that says so is black; x/image takes it for
// white.
func decodeTIFF(data []byte) (*pixel.Image, error) {
	const compression, group3, group4 = 259, 3, 4
	const photometric, blackIsZero = 262, 1
	img, err := tiff.Decode(bytes.NewReader(data))
	if fax := tiffTag(data, compression); (fax == group3 || fax == group4) && tiffTag(data, photometric) == blackIsZero {
		if m, ok := img.(*image.Gray); ok {
			for i := range m.Pix {
				m.Pix[i] ^= 0xff
			}
		}
	}
	return packed(img, err)
}
