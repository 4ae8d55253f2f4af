//go:build !amd64

package quant

import "github.com/gogemma/gemma4/tensor"

// best returns the best level that the machine runs.
func best() level { return portable }

func (t *trials) linear(x, w []float32, inverse, least float32) {
	t.linearPortable(x, w, inverse, least)
}

func (t *trials) nonlinear(x, w []float32, inverse float32) { t.nonlinearPortable(x, w, inverse) }

func (t *trials) closest() int { return t.closestPortable() }

func (t *trials) closestAffine(bound float32) int { return t.closestAffinePortable(bound) }

func (l level) codes(q []uint8, x []float32, inverse, least, low, high float32) {
	codesPortable(q, x, inverse, least, low, high)
}

func (l level) tableCodes(q []uint8, x []float32, inverse float32) { tableCodesPortable(q, x, inverse) }

func (l level) residue(x, w []float32, step, inverse, least, low, high float32) (r residue) {
	r.setPortable(x, w, step, inverse, least, low, high)
	return r
}

func (l level) tableResidue(x, w []float32, step, inverse float32) (r residue) {
	r.setTablePortable(x, w, step, inverse)
	return r
}

func (l level) weigh(w, x []float32, twice float32) { weighPortable(w, x, twice) }

func (l level) peak(x []float32) uint32 { return peakPortable(x) }

func (l level) round(f tensor.Format, dst []byte, x []float32) error { return f.Encode(dst, x) }
