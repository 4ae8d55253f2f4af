package model

import "github.com/gogemma/gemma4/tensor"

// PictureOps returns how many multiply-adds a picture of w by h pixels takes, whose size is one that [Fit] gives: of its products with
// weights, and of its patches' attention to each other. None: the projector makes nothing of such a picture.
func (p *Projector) PictureOps(w, h int) (products, attention int64) {
	if p.checkPicture(w, h) != nil {
		return 0, 0
	}
	v := p.vision
	n := int64(w/v.patch) * int64(h/v.patch)
	tokens := n / int64(v.pool*v.pool)
	products = n*size(v.embedding) + tokens*size(v.projection.w)
	for i := range v.layers {
		l := &v.layers[i]
		for _, x := range []*linear{&l.q, &l.k, &l.v, &l.attnOut, &l.gate, &l.up, &l.down} {
			products += n * size(x.w)
		}
		attention += 2 * n * n * int64(v.width)
	}
	return products, attention
}

// SoundOps returns how many multiply-adds a sound of so many tokens takes: of its products with weights, convolutions among them, and of
// its attention.
func (p *Projector) SoundOps(tokens int) (products, attention int64) {
	a, n := p.audio, int64(max(0, tokens))
	if a == nil {
		return 0, 0
	}
	products = n * size(a.projection.w)
	if a.unified {
		return products, 0
	}
	products += n * (2*int64(a.bins[1])*int64(len(a.conv)) + int64(a.bins[2])*size(a.conv2) + size(a.input.w))
	if a.output.w != nil {
		products += n * size(a.output.w)
	}
	for i := range a.layers {
		l := &a.layers[i]
		for _, x := range []*linear{&l.mlp[0].up, &l.mlp[0].down, &l.q, &l.k, &l.v, &l.attnOut, &l.convIn, &l.convOut, &l.mlp[1].up,
			&l.mlp[1].down} {
			products += n * size(x.w)
		}
		products += n * int64(len(l.conv))
		attention += 2 * n * audioContext * int64(a.width)
	}
	return products, attention
}

func size(t *tensor.Tensor) int64 { return int64(t.Rows()) * int64(t.Cols()) }
