package quant

import "math"

// values are what the codes of IQ4 stand for.
var values = [16]float32{-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113}

// cells cut what lies between -128 and 128 into pieces of 8, so short that the nearest of values changes at most once in each: behind the
// border from below to above. Where it does not change the border is 128,
// or out of reach: what is beyond 128 belongs to the last cell.
var cells = struct{ border, below, above [32]float32 }{
	[32]float32{
		128, -115.5, 128, 128, -93.5, 128, -74, 128, -57, 128, -42, 128, -28.5, 128, -16, -4.5,
		7, 128, 19, 31.5, 128, 45.5, 128, 61, 128, 79, 128, 128, 101, 128, 128, math.MaxFloat32,
	},
	[32]float32{
		-127, -127, -104, -104, -104, -83, -83, -65, -65, -49, -49, -35, -35, -22, -22, -10,
		1, 13, 13, 25, 38, 38, 53, 53, 69, 69, 89, 89, 89, 113, 113, 113,
	},
	[32]float32{
		-104, -104, -83, -83, -83, -65, -65, -49, -49, -35, -35, -22, -22, -10, -10, 1,
		13, 25, 25, 38, 53, 53, 69, 69, 89, 89, 113, 113, 113, 113, 113, 113,
	},
}

// lowCodes are those of the values below borders.
var lowCodes = [32]uint8{0, 0, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 8, 9, 9, 10, 11, 11, 12, 12, 13, 13, 14, 14, 14, 15, 15, 15}

// nearest returns the code whose value is nearest to v.
func nearest(v float32) uint8 {
	if v < -128 {
		v = -128
	}
	if v > 127 {
		v = 127
	}
	i := int(v*0.125+16) & 31
	// 1 if v is above the border: the sign of their difference, since a branch would be guessed wrong too often.
	return lowCodes[i] + uint8(math.Float32bits(cells.border[i]-v)>>31)
}

// tableCodesPortable sets q to the codes of IQ4 nearest to inverse·x.
func tableCodesPortable(q []uint8, x []float32, inverse float32) {
	q = q[:len(x)]
	for i, v := range x {
		q[i] = nearest(float32(v * inverse))
	}
}
